"""The page of the simulated users: realism, what can be gained, and who gains it."""

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from simrec.app import choose, load
from simrec.app.charts import dress, ink
from simrec.app.population import SEEDS, by_segment, world_report
from simrec.app.show import chart, csv, say
from simrec.app.style import card, grid, plain_table
from simrec.errors import SimrecError
from simrec.overview import Overview
from simrec.palette import colour_of, is_dashed

_PREDICTORS = {"model": "simulated users", "bias": "user and item biases", "item_mean": "item mean"}
_THIRDS = {
    "activity": ("fewest events", "middle", "most events"),
    "generosity": ("like least", "middle", "like most"),
}


def page(root: Path, read_only: bool) -> None:
    """Show the users of a study."""
    st.title("Users and realism")
    st.caption(
        "Who the simulated users are: how well they foretell real people's ratings, and what "
        "can be gained from them at most."
    )
    found = choose.study(root, read_only)
    if found is None:
        return
    try:
        report = load.kept(found, "world", world_report)
    except SimrecError as error:
        say(f"Warning: {error}")
        return
    _realism(found, report["fit"])
    _bounds(report["bounds"], found.first.config.get("world", {}).get("reward") or "clicks")
    _segments(found)


def _realism(found: Overview, fit: dict[str, Any]) -> None:
    st.subheader("How real are they?")
    model = fit["model"]
    popular = fit["popularity_auc"]
    st.html(
        grid(
            [
                card(
                    "Order of items within held-out ratings",
                    f"<span>AUC {model['auc']:.3f}</span>",
                    f"popularity {popular:.3f}",
                    "0.5 is chance; higher is better",
                ),
                card(
                    "Error of the rating",
                    f"<span>RMSE {model['rmse']:.3f}</span>",
                    f"biases alone {fit['bias']['rmse']:.3f}",
                    "in the unit of the ratings; lower is better",
                ),
                card(
                    "Error of the chance to like",
                    f"<span>{model['calibration_error']:.3f}</span>",
                    "mean gap of predicted and observed share",
                    "0 to 1; lower is better",
                ),
                card(
                    "Judged on",
                    f"<span>{fit['judged']:,}</span>",
                    "ratings of real people",
                    f"nothing was fitted on them; {fit['like_share']:.0%} are likes",
                ),
            ]
        )
    )
    frame = pd.DataFrame(
        [
            {
                "predictor": label,
                "RMSE (rating units)": round(fit[name]["rmse"], 3),
                "AUC of likes": round(fit[name]["auc"], 3),
                "calibration error": round(fit[name]["calibration_error"], 3),
            }
            for name, label in _PREDICTORS.items()
        ]
    )
    rows = [[row[0], *(f"{v:.3f}" for v in row[1:])] for row in frame.itertuples(index=False)]
    st.html(plain_table(frame.columns, rows))
    csv(frame, "realism")
    world = found.first.config.get("world", {})
    scales = [world.get(f"{name}_scale", 1.0) for name in ("user", "item", "interaction")]
    if scales != [1.0, 1.0, 1.0] or world.get("intercept_shift"):
        say(
            "Warning: the scale of taste is chosen, not calibrated: user x{:g}, item x{:g}, "
            "personal x{:g}, {:+g} logits for all. The numbers above are those of the fit before "
            "that; only the order of items comes from the data.".format(
                *scales, world.get("intercept_shift", 0.0)
            )
        )


def _bounds(bounds: dict[str, dict[str, float]], unit: str) -> None:
    st.subheader("What can be gained in this world?")
    frame = pd.DataFrame(
        [{"policy": name, **values} for name, values in bounds.items()]
    ).sort_values("reward")
    figure = go.Figure()
    figure.add_bar(
        x=frame["reward"],
        y=frame["policy"],
        orientation="h",
        marker={"color": [colour_of(name) for name in frame["policy"]]},
        error_x={
            "type": "data",
            "array": 1.96 * frame["reward_se"],
            "thickness": 1.5,
            "color": ink(),
        },
        customdata=frame["length"],
        hovertemplate=f"%{{x:.2f}} {unit} in %{{customdata:.1f}} steps a session<extra></extra>",
    )
    figure.update_layout(xaxis={"title": f"{unit} a session"})
    figure.update_yaxes(showgrid=False)
    chart(
        dress(figure, height=300),
        frame,
        "bounds",
        f"{unit.capitalize()} per session of reference policies",
    )
    gain = bounds["oracle"]["reward"] - bounds["random"]["reward"]
    share = (bounds["static"]["reward"] - bounds["random"]["reward"]) / gain if gain else 0.0
    st.caption(
        f"The best list that is the same for everybody has {share:.0%} of what the oracle gains "
        "over random items; the rest is what personal recommendation can win. Myopic and oracle "
        "know every user."
    )


def _segments(found: Overview) -> None:
    st.subheader("Who gains?")
    by = choose.tab("Users by", list(_THIRDS), "by")
    known = {record.strategy for record in found.records.values()}
    usual = [n for n in ("scratch", "frozen", "ft", "ap", "greedy-reward") if n in known]
    names = tuple(usual or sorted(known)[:6])
    try:
        data = load.kept(found, f"segments-{by}", by_segment, by, names)
    except SimrecError as error:
        say(str(error))
        return
    data = data.assign(segment=[_THIRDS[by][part] for part in data["segment"]])
    figure = go.Figure()
    for name in names:
        mine = data[data["strategy"] == name]
        figure.add_bar(
            x=mine["segment"],
            y=mine["reward"],
            name=escape(name),
            marker={"color": colour_of(name), "opacity": 0.6 if is_dashed(name) else 1.0},
            error_y={
                "type": "data",
                "array": 1.96 * mine["error"],
                "thickness": 1.3,
                "width": 2,
                "color": ink(),
            },
            customdata=mine[["sessions", "lost"]],
            hovertemplate="%{y:.3f}; %{customdata[0]:,} sessions, %{customdata[1]:.0f} users lost "
            "per 1,000 recommendations",
        )
    figure.update_layout(
        barmode="group",
        yaxis={"title": "normalised reward (0 random, 1 oracle)"},
        xaxis={"title": f"thirds of the users by {by} in the log"},
    )
    chart(dress(figure), data, f"segments-{by}", "Reward by third of the users and strategy")
    st.caption(
        f"Sessions of the whole run over the first {min(SEEDS, len(found.seeds))} seeds; the bars "
        "are twice the standard error over sessions, which understates the spread over seeds. 0 "
        "and 1 are the world's random and oracle for all users together."
    )
