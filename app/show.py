"""How pages put things up: charts with their downloads, sentences as text, empty states."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from simrec.app.style import note


def chart(figure: go.Figure, data: pd.DataFrame, name: str, alt: str) -> None:
    """Show a chart whose picture and data can be taken home.

    The camera above the chart saves it as PNG or SVG, as chosen in the sidebar.

    Args:
        figure: The chart.
        data: What it was drawn from.
        name: Of the files; the same on every run.
        alt: What the chart shows, for those who cannot see it.
    """
    draw(figure, name, alt)
    csv(data, name)


def draw(figure: go.Figure, name: str, alt: str) -> None:
    """Show a chart alone; arguments as in `chart`."""
    picture = str(st.session_state.get("picture") or "PNG").lower()
    st.plotly_chart(
        figure,
        key=f"chart-{name}",
        alt=alt,
        config={
            "displaylogo": False,
            "displayModeBar": True,
            "responsive": True,
            "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
            "toImageButtonOptions": {"format": picture, "filename": f"simrec-{name}", "scale": 2},
        },
    )


def csv(data: pd.DataFrame, name: str) -> None:
    """Offer a table as CSV."""
    st.download_button(
        "Data as CSV",
        data.to_csv(index=False),
        file_name=f"simrec-{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        type="tertiary",
        key=f"csv-{name}",
        on_click="ignore",
    )


def say(line: str) -> None:
    """Show a sentence that may hold names from files: as text, never as markup."""
    st.html(note(line))


def empty(line: str) -> None:
    """Say in a box why there is nothing to see and what to do."""
    with st.container(border=True):
        st.text(line)
