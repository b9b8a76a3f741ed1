"""The verbs of what runs start from: `data` makes or checks the videos, `pretrain` makes the nets."""

import argparse
from typing import TYPE_CHECKING

from nlrepro.cli.verbs import Verbs, add_jobs

if TYPE_CHECKING:
    from nlrepro.config import Profile


def do_data(arguments: argparse.Namespace, profile: "Profile") -> None:
    root = arguments.data / profile.data.root
    if profile.generator is None:
        from nlrepro.data.kinetics.survey import survey

        survey(profile, root, arguments.data / "cache", arguments.jobs)
    elif arguments.action == "make":
        from nlrepro.data.generate import make

        make(profile.generator, root, arguments.jobs)
    else:
        from nlrepro.data.kinetics.survey import check_generated

        check_generated(profile, root, arguments.jobs)


def do_pretrain(arguments: argparse.Namespace, profile: "Profile") -> None:
    from nlrepro.pretrained import net_path
    from nlrepro.processes import progress_bar
    from nlrepro.train.pretraining import pretrain

    out = net_path(profile.pretrained, arguments.depth)
    with progress_bar(total=profile.pretraining.steps if profile.pretraining else 0, desc=f"{out.name}", unit=" steps") as bar:

        def show(step: int) -> None:
            bar.update(step - bar.n)

        found = pretrain(arguments.depth, profile, out, show)
    print(f"{out}: {found['tags']:.1f} % of the tags right, {found['stills']:.1f} % of the stills")


def add_verbs(verbs: Verbs) -> None:
    data = verbs.add(
        "data", do_data, "make the generated videos, or check a tree of videos; of real ones both check", "make --jobs 2"
    )
    data.add_argument("action", choices=("make", "check"))
    add_jobs(data)
    nets = verbs.add(
        "pretrain", do_pretrain, "maintainers: a net that runs on generated videos start from, and its note", "--depth 50"
    )
    nets.add_argument("--depth", type=int, choices=(50, 101), required=True)
