"""The non-local operation, its block, and the nets around it.

Read nonlocal_block.py (Eq. 1, the pairwise functions f, Eq. 6), then resnet.py (the nets of Table 2).
weights.py has what they start from, add_nonlocal.py puts the block into a net of your own, rcnn.py into the
detectors of Tables 5 and 6.

Shapes are noted behind the lines that make them:
    B clips, T frames, H x W places; T', H', W' where a stride or a pool has shrunk them
    C channels, P channels of a convolution's output, K channels that are compared
    S sets over which a sum runs (clips, frames or places), N query positions i in each, M key positions j,
    R queries of a chunk
    C(x) of Eq. 1 is the paper's normalisation, and the only C that is no number of channels
"""
