"""What the networks that read shapes from masks share: their input, embedding and logits."""

from __future__ import annotations

from torch import Tensor, nn

from mammostudy.errors import SpecError

SIDE = 64
EMBEDDING = 128


class MaskClassifier(nn.Module):
    """A network with ``features`` (to :data:`EMBEDDING` numbers), ``dropout`` and ``head``.

    Args:
        classes: number of shapes.

    Raises:
        SpecError: fewer than two classes.
    """

    features: nn.Module
    dropout: nn.Module
    head: nn.Module
    title = "network of shapes"

    def __init__(self, classes: int) -> None:
        super().__init__()
        if classes < 2:
            msg = f"classes = {classes}: the {self.title} needs two or more"
            raise SpecError(msg)

    def embed(self, masks: Tensor) -> Tensor:
        """What the last hidden layer makes of masks, before the dropout.

        Args:
            masks: as for :meth:`forward`.

        Returns:
            float ``(n, 128)``, 0 or more.

        Raises:
            SpecError: the input does not fit the network.
        """
        if masks.ndim != 4 or tuple(masks.shape[1:]) != (1, SIDE, SIDE):
            msg = (
                f"the {self.title} takes (n, 1, {SIDE}, {SIDE}), not {tuple(masks.shape)}: bring "
                "masks to that size with mammostudy.imaging.shape_masks.place_mask"
            )
            raise SpecError(msg)
        embedding: Tensor = self.features(masks)
        return embedding

    def forward(self, masks: Tensor) -> Tensor:
        """Score the shapes of masks.

        Args:
            masks: float ``(n, 1, 64, 64)``, 1 in the mass and 0 outside.

        Returns:
            Logits ``(n, classes)``: the published softmax is left to the loss and to
            ``torch.softmax(logits, dim=1)``, which is stable far from 0 and takes a temperature.

        Raises:
            SpecError: the input does not fit the network.
        """
        logits: Tensor = self.head(self.dropout(self.embed(masks)))
        return logits
