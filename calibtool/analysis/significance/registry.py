"""The registry of significance tests, in the order in which they are printed."""

from __future__ import annotations

from calibtool.analysis.significance import statistics, whole_rows
from calibtool.analysis.significance.result import Test
from calibtool.metrics import goodness_of_fit

_TABLE = (
    Test(
        "consistency",
        "Consistency resampling of the ECE",
        "Broecker & Smith 2007; Vaicenavicius et al. 2019",
        "gaps in any of 15 equal-width bins, of either sign",
        statistics.ece,
    ),
    Test(
        "ks",
        "Kolmogorov-Smirnov of the cumulative gap",
        "Gupta et al. 2021; Arrieta-Ibarra et al. 2022",
        "a gap of one sign over a long stretch of scores",
        statistics.ks,
    ),
    Test(
        "kuiper",
        "Kuiper range of the cumulative gap",
        "Arrieta-Ibarra et al. 2022",
        "a gap of one sign over any stretch of scores",
        statistics.kuiper,
    ),
    Test(
        "spiegelhalter",
        "Spiegelhalter's Z, two-sided",
        "Spiegelhalter 1986",
        "scores that are too extreme or too moderate",
        statistics.spiegelhalter,
    ),
    Test(
        "hosmer-lemeshow",
        "Hosmer-Lemeshow, 10 groups",
        "Hosmer & Lemeshow 1980",
        "gaps in any tenth of the rows",
        goodness_of_fit.hosmer_lemeshow,
    ),
    Test(
        "cox",
        "Cox recalibration, slope 1 and intercept 0",
        "Cox 1958",
        "a shift or a temperature of the logits",
        statistics.cox,
    ),
    Test(
        "belt",
        "Calibration belt",
        "Nattino, Finazzi & Bertolini 2014",
        "a smooth curve of the logits, up to the fourth power",
        statistics.belt,
        statistics.belt_shown,
    ),
    Test(
        "t-cal",
        "T-Cal, adaptive over numbers of bins",
        "Lee, Huang, Hassani & Dobriban 2023",
        "gaps at any scale, also such as change sign quickly",
        statistics.t_cal,
        weighted=False,
    ),
    Test(
        "class-consistency",
        "Consistency resampling of the class-wise ECE",
        "Vaicenavicius et al. 2019; Kull et al. 2019",
        "gaps of single classes, one-vs-rest",
        rows=whole_rows.class_consistency,
    ),
    Test(
        "skce",
        "Squared kernel calibration error",
        "Widmann, Lindsten & Zachariah 2019; blocks: Zaremba, Gretton & Blaschko 2013",
        "any gap of the whole probability row, among rows that are alike",
        rows=whole_rows.skce,
    ),
)

TESTS: dict[str, Test] = {test.name: test for test in _TABLE}
