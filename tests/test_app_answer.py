"""What stands first on the Compare page: the sentence, the intervals, the still curves."""

import base64
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("streamlit", reason="the dashboard's extra is not installed")

from simrec.app.answer import answer, doubt, sentence
from simrec.app.glossary import meaning
from simrec.app.still import still, ticks
from simrec.curves import Curve
from simrec.digest_curves import METRICS
from simrec.leaders import Leader
from simrec.palette import colour_of
from simrec.statistics import Interval
from tests.run_folders import write_study
from tests.test_app import judged


def lead(best: str, *, p: float, tied: tuple[str, ...] = (), over: str = "") -> Leader:
    ahead = Interval(0.1, 0.05, 0.2) if over else None
    return Leader(best, Interval(0.5, 0.4, 0.6), tied, over, ahead, 4, p)


def test_the_sentence_says_who_leads_and_what_the_seeds_cannot_tell(tmp_path: Path) -> None:
    study = write_study(tmp_path, gain=1.5)  # ft is ahead of scratch in every seed, ap swings
    said = sentence(*judged(study))
    claim = "ft leads, clearly ahead of scratch but not told apart from ap"
    assert said == f"Over 5 seeds, early {claim}; late {claim}."
    shutil.rmtree(study / "ap")
    assert sentence(*judged(study)) == (
        "Over 5 seeds, early ft is clearly best; late ft is clearly best."
    )
    shutil.rmtree(study / "scratch")
    assert sentence(*judged(study)) == "Only ft was run, so there is nothing to set it beside."


def test_one_seed_is_said_to_tell_nothing(tmp_path: Path) -> None:
    said = sentence(*judged(write_study(tmp_path, seeds=1)))
    assert said.startswith("One seed cannot tell: ft has the highest reward early")


def test_a_lead_that_correction_undoes_is_no_clear_lead(tmp_path: Path) -> None:
    comparison, _ = judged(write_study(tmp_path))
    first = {
        "early": lead("a", p=0.2, over="b"),
        "late": lead("a", p=0.2, tied=("c", "d", "e", "f"), over="b"),
    }
    assert sentence(comparison, first) == (
        "Over 5 seeds, early a is best, though not beyond doubt; "
        "late a leads, not told apart from 4 others."
    )
    told = doubt(lead("a", p=0.2, over="b"), 3, "early")
    assert told[0] == "Ahead of b by 0.100 [0.050, 0.200]."
    assert told[1].startswith("Does not hold when corrected for 4 comparisons (p = 0.200")
    assert doubt(lead("a", p=0.01, over="b"), 3, "early")[0].startswith("Clearly ahead of b")


def test_the_picture_has_a_row_a_strategy_best_first_and_marks_the_leaders(tmp_path: Path) -> None:
    early, late = answer(*judged(write_study(tmp_path, gain=1.5))).split("Best late")
    assert early.count('class="r top"') == late.count('class="r top"') == 2  # ft and ap
    # scratch has 4.2 clicks on average, 2 are random and 12 the oracle: 22 % of the way
    assert 'title="scratch: 0.220 [' in late
    assert late.index('title="ft: ') < late.index('title="ap: ') < late.index('title="scratch: ')
    assert "left:22.00%" in late


def test_strategies_are_told_in_plain_words() -> None:
    assert "keeps learning" in meaning("ft")
    assert meaning("ft-shuffled").endswith("dealt out at random: as ft")
    assert meaning("my-own") == ""


def test_the_still_picture_holds_the_points_of_the_curves() -> None:
    step = np.array([0.0, 5000.0, 10_000.0])
    rising = Curve(step, np.array([0.0, 0.5, 1.0]), np.full(3, np.nan), np.full(3, np.nan))
    html = still({"ft": rising, "<b>": rising}, "alt", METRICS["left"], {}, log=False)
    assert "&lt;b&gt;" in html and "<b> " not in html
    drawn = base64.b64decode(html.split("base64,")[1].split('"')[0]).decode()
    # 4 % of the height is left free at either end: 1 is at 0.04 / 1.08, and 0 at 1.04 / 1.08
    assert f'd="M0 963L500 500L1000 37" stroke="{colour_of("ft")}"' in drawn
    assert '<em class="x" style="left:40.0%">4k</em>' in html
    assert '<em class="y" style="top:40.7%"><b>0.6</b></em>' in html


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0.0, 1.2, [0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2]), (-3, 9, [-2, 0, 2, 4, 6, 8]), (5, 5, [5])],
)
def test_ticks_are_round_and_within_the_ends(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == wanted
