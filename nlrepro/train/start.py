"""What a net's weights are before its first step."""

import torch

from nlrepro.errors import BadInput
from nlrepro.nets.imagenet import imagenet_file
from nlrepro.nets.pretrained import pretrained
from nlrepro.nets.transfer import start_from
from nlrepro.train.module import VideoClassifier
from nlrepro.train.paths import Place


def warm_start(classifier: VideoClassifier, seed: int, place: Place) -> dict[str, str]:
    """Copy the weights that this run starts from: another run's, or pretrained ones, whose name is returned for the record.

    Raises:
        BadInput: that run has not been made, or the pretrained weights are not there or do not fit.
    """
    spec, profile, net = classifier.run_spec, classifier.profile, classifier.net
    if spec.parent:
        weights = place.weights(profile, spec.parent, seed)
        if not weights.is_file():
            raise BadInput(
                f"{spec.key} starts from {spec.parent.key}, which has no weights at {weights}; use `sweep`, or run it first"
            )
        start_from(net, torch.load(weights, weights_only=True))
        return {}
    if profile.dry_run and profile.real and not (place.imagenet or imagenet_file(spec.net.depth)[0].is_file()):
        print("dry run without ImageNet weights: it starts from random ones")
        return {}
    state, name = pretrained(spec.net.depth, profile, place.imagenet)
    start_from(net, state)
    return {"start": name}
