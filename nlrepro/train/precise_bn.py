"""Precise BN, as in the authors' code: before the test the statistics of batch normalisation are measured again, as plain means
over some training batches.
"""

from itertools import islice

import pytorch_lightning as pl
from torch import distributed
from torch.optim.swa_utils import update_bn

from nlrepro.train.datamodule import Splits
from nlrepro.train.module import VideoClassifier


def precise_bn(classifier: VideoClassifier, fitter: pl.Trainer, splits: Splits) -> None:
    """Measure the statistics; do nothing if the recipe is not the released one, or freezes normalisation."""
    real = classifier.profile.real
    if real is None or not classifier.released_recipe or classifier.recipe.frozen_norm:
        return
    device = fitter.strategy.root_device
    update_bn(islice(splits.train_dataloader(), real.precise_batches), classifier.to(device), device)
    if distributed.is_initialized():
        for layer in classifier.norms:
            for statistic in (layer.running_mean, layer.running_var):
                assert statistic is not None
                distributed.all_reduce(statistic)
                statistic.div_(distributed.get_world_size())
