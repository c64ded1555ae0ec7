"""The forecasts that reliabilitydiag's README scores, kept beside what it prints.

pip download --no-deps --no-binary :all: scoringrules==0.10.0, unpack it, and

    python tests/goldens/published/keep_reliabilitydiag.py .../tests/data/precip_Niamey_2016.csv

The data are reliabilitydiag's precip_Niamey_2016 (Vogel et al. 2021, from products of the ECMWF),
which the Python package scoringrules carries as csv.
"""

import csv
import json
import sys
from pathlib import Path

PRINTED = {"mean_score": 0.232, "mcb": 0.0183, "dsc": 0.0305, "unc": 0.244}


def main() -> None:
    with Path(sys.argv[1]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    body = {
        "source": "reliabilitydiag 0.2.1, README: EMOS forecasts of precip_Niamey_2016",
        "data": "Vogel et al. 2021, doi:10.1029/2020GL091022; from products of the ECMWF",
        "printed": PRINTED,
        "score": [float(row["EMOS"]) for row in rows],
        "outcome": [int(row["obs"]) for row in rows],
    }
    out = Path(__file__).with_name("reliabilitydiag-0.2.1.json")
    out.write_text(json.dumps(body, indent=None).replace(', "', ',\n "') + "\n")


if __name__ == "__main__":
    main()
