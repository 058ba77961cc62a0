"""The campaign: one process undisturbed, against three that are killed, frozen, come and go; the broker is restarted.

`python -m tests.chaos --kills 20 --seed 1`, or `make chaos KILLS=20 SEED=1`. What both leave behind for readers of
committed messages must be the same, byte for byte and in the same order in every partition, and so must the state.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import Campaign, run_campaign


def main() -> int:
    """Exit status: 0 when all is equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="processes killed, at least")
    parser.add_argument(
        "--freezes", type=int, help="processes frozen until the group has given them up; a third of the kills"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--keys", type=int, default=500)
    options = parser.parse_args()
    freezes = options.kills // 3 if options.freezes is None else options.freezes
    campaign = Campaign(options.records, options.keys, options.kills, freezes, options.seed)
    with tempfile.TemporaryDirectory() as directory:
        differences = run_campaign(campaign, Path(directory), tell=lambda text: print(text, flush=True))
    for difference in differences:
        print(f"DIFFERENT: {difference}")
    print("all equal" if not differences else f"{len(differences)} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
