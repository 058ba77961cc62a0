"""The campaign: three members that are killed, frozen, come and go, while other bundles are promoted and records come.

`python -m tests.chaos --kills 20 --seed 1`, or `make chaos KILLS=20 SEED=1`. The broker is restarted once, and some of
the kills are aimed at the moment of a swap. What is left behind for readers of committed messages must be what an
engine undisturbed says that goes over to the other bundles at the same offsets, byte for byte and in the same order in
every partition, and so must the state be. What is counted of all members must be what came of the records, up to what
was committed after the last look at a member that was killed: by looks of our own, and by a real Prometheus, where
there is one.
"""

import argparse
import sys

from tests.capabilities import find_prometheus
from tests.chaos.campaign import run_campaign
from tests.chaos.disturbing import Campaign
from tests.processes import program, scratch


def main() -> int:
    """Exit status: 0 when all is equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="processes killed, at least")
    parser.add_argument(
        "--freezes", type=int, help="processes frozen until the group has given them up; a third of the kills"
    )
    parser.add_argument(
        "--swaps", type=int, help="promotions of another bundle, a kill aimed at each; half of the kills"
    )
    parser.add_argument("--structures", action="store_true", help="promote networks of different structures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--keys", type=int, default=500)
    options = parser.parse_args()
    freezes = options.kills // 3 if options.freezes is None else options.freezes
    swaps = options.kills // 2 if options.swaps is None else options.swaps
    campaign = Campaign(
        options.records, options.keys, options.kills, freezes, swaps, options.seed, structures=options.structures
    )
    with scratch() as directory:
        if (prometheus := find_prometheus("prometheus")) is None:
            print("found no prometheus; expected it on PATH: `make prometheus` fetches it; nothing is asked of it")
        differences = run_campaign(
            campaign, directory, tell=lambda text: print(text, flush=True), prometheus=prometheus
        )
    for difference in differences:
        print(f"DIFFERENT: {difference}")
    print("all equal" if not differences else f"{len(differences)} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    with program():
        sys.exit(main())
