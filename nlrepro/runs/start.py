"""What a net's weights are before its first step."""

import torch

from nlrepro.errors import BadInput
from nlrepro.nets.imagenet import imagenet, imagenet_file
from nlrepro.nets.weights import start_from
from nlrepro.runs.classifier import VideoClassifier
from nlrepro.runs.place import Place


def warm_start(classifier: VideoClassifier, seed: int, place: Place) -> dict[str, str]:
    """Copy the weights that this run starts from: those of another run, of ImageNet, or none.

    What comes from a file of others is returned, for the record.

    Raises:
        BadInput: that run has not been made, or the ImageNet weights are not there.
    """
    spec, profile = classifier.run_spec, classifier.profile
    parent = profile.parent(spec)
    if parent:
        weights = place.weights(profile, parent, seed)
        if not weights.is_file():
            raise BadInput(
                f"{spec.key} starts from {parent.key}, which has no weights at {weights}; use `sweep`, or run it first"
            )
        start_from(classifier.net, torch.load(weights, weights_only=True))
    elif profile.real and profile.dry_run and not (place.imagenet or imagenet_file(spec.net.depth)[0].is_file()):
        print("dry run without ImageNet weights: it starts from random ones")
    elif profile.real:
        state, name = imagenet(spec.net.depth, profile.net, place.imagenet)
        start_from(classifier.net, state)
        return {"imagenet": name}
    return {}
