"""Images made smaller by a power of two before anything else is done with them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

REDUCTIONS = (1, 2, 4, 8)
"""What jpeg can be decoded at: a block of 8 pixels is its unit."""

Pixels = npt.NDArray[np.uint8]


def reduced_size(pixels: int, reduction: int) -> int:
    """Of a side: the last block may be incomplete."""
    return -(-pixels // reduction)


def reduced(image: Pixels, reduction: int) -> Pixels:
    """(ceil(H / n), ceil(W / n)[, C]) means of blocks of n x n pixels; the image itself for 1.

    The centre of pixel u of the image lies at (u + 0.5) / n - 0.5 of the result. An incomplete
    block at the end is filled up with its last row or column.
    """
    while reduction > 1:
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        half = (reduced_size(width, 2), reduced_size(height, 2))
        # Halving is vectorised in OpenCV, averaging 4 x 4 at once is not and takes three times as
        # long.
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
        reduction //= 2
    return image
