"""The weights of each pairwise form, f(x_i, x_j) / C(x) in Eq. 1, one by one; pairwise.py sums over j without holding them.

For the weights of a few positions i, which pictures show, and for forms of your own, which are one function each.

Legend: S sets over which the sum runs, N query positions i, M key positions j, K compared channels.
"""

from collections.abc import Callable
from inspect import getsource
from textwrap import dedent

import torch.nn.functional as F
from torch import Tensor

from nlrepro.spec import FORMS

Weights = Callable[[Tensor, Tensor], Tensor]  # theta (S, N, K), phi (S, M, K) -> f / C (S, N, M)
OWN: dict[str, Weights] = {}  # forms that the paper does not have; Table 2a has a row for each


def form(name: str) -> Callable[[Weights], Weights]:
    """Make a function from theta and phi to f / C a form of that name, also of runs, whose keys it becomes part of.

    Its source becomes part of the runs' settings, so that records from before an edit are stale. What the function uses besides
    (constants, other functions) is not looked at: remove the records after an edit there.

    Raises:
        ValueError: there is such a form, the name has other characters than a-z and 0-9, or the source cannot be read.
    """
    if name in FORMS or not (name.isascii() and name.isalnum() and name.islower()):
        raise ValueError(f"a form needs a new name of a-z and 0-9, other than {', '.join(FORMS)}; got {name!r}")

    def added(weights: Weights) -> Weights:
        try:
            FORMS[name] = dedent(getsource(weights))
        except (OSError, TypeError):
            raise ValueError(f"form {name!r}: expected a function in a file or a notebook's cell, got {weights!r}") from None
        OWN[name] = weights
        return weights

    return added


def softmax_weights(theta: Tensor, phi: Tensor, scale: float = 1.0) -> Tensor:
    """Both Gaussian forms (Eq. 2, 3): (S, N, K), (S, M, K) -> (S, N, M), each row of which sums to 1."""
    return (scale * theta @ phi.mT).softmax(2)  # (S, N, M)


def dot_weights(theta: Tensor, phi: Tensor) -> Tensor:
    """Dot product (Eq. 4): (S, N, K), (S, M, K) -> (S, N, M), of either sign."""
    return theta @ phi.mT / phi.shape[1]  # (S, N, M)


def concatenation_weights(theta: Tensor, phi: Tensor, w_f: Tensor) -> Tensor:
    """Concatenation (Eq. 5): (S, N, K), (S, M, K), w_f (2 K,) -> (S, N, M), none negative."""
    k = theta.shape[2]
    a, b = theta @ w_f[:k], phi @ w_f[k:]  # (S, N), (S, M)
    return F.relu(a.unsqueeze(2) + b.unsqueeze(1)) / phi.shape[1]  # (S, N, M)
