"""What R's dcurves says of its own data set, kept beside the data.

pip download --no-deps dcurves==1.1.7, unzip it, and

    python tests/goldens/published/keep_dcurves.py .../dcurves/data/df_binary.csv

The data are df_binary of R's dcurves (Sjoberg; MIT), which the Python package carries (Apache 2.0).
R's numbers are files of the Python package's repository, github.com/MSKCC-Epi-Bio/dcurves:
dcurves/data/r_bin_dca_result_1.csv of commit befb58f and r_case1_results.csv of commit 0f3e104.
"""

import csv
import json
import sys
from pathlib import Path

# net benefit by threshold, of acting on everybody and by two models; famhistory is 0 or 1
PRINTED = {
    "everybody": {
        "0.01": 0.13131313131313133,
        "0.05": 0.09473684210526317,
        "0.1": 0.04444444444444445,
        "0.14": 0.0,
        "0.2": -0.07499999999999998,
        "0.5": -0.72,
        "0.9": -7.600000000000001,
    },
    "cancerpredmarker": {
        "0.01": 0.13243097643097645,
        "0.05": 0.1055438596491228,
        "0.1": 0.08740740740740742,
        "0.15": 0.07921568627450981,
        "0.2": 0.06733333333333334,
        "0.25": 0.06400000000000002,
        "0.3": 0.05466666666666668,
        "0.35": 0.050153846153846146,
        "0.4": 0.038666666666666676,
        "0.45": 0.02824242424242425,
    },
    "famhistory": {
        "0.01": 0.030774410774410774,
        "0.05": 0.025614035087719297,
        "0.1": 0.018518518518518517,
        "0.15": 0.010588235294117645,
        "0.2": 0.0016666666666666635,
    },
}


def main() -> None:
    with Path(sys.argv[1]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    body = {
        "source": "R's dcurves on its df_binary, in the repository of Python's dcurves",
        "data": "df_binary of R's dcurves, github.com/ddsjoberg/dcurves, MIT",
        "printed": PRINTED,
        "outcome": [int(row["cancer"] == "TRUE") for row in rows],
        "cancerpredmarker": [float(row["cancerpredmarker"]) for row in rows],
        "famhistory": [float(row["famhistory"]) for row in rows],
    }
    out = Path(__file__).with_name("dcurves-r.json")
    out.write_text(json.dumps(body, indent=None).replace(', "', ',\n "') + "\n")


if __name__ == "__main__":
    main()
