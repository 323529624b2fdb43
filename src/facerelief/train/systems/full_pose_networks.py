"""Networks from a picture to the face model's coefficients: VGG-16, and a light one that looks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerelief.data import positions
from facerelief.geometry.albedo import albedo_basis
from facerelief.geometry.face_model import face_model
from facerelief.nn.light_decoder import convolution, pointwise
from facerelief.train.systems.full_pose_closeups import CloseUps
from facerelief.train.systems.full_pose_fit import Fit
from facerelief.train.systems.full_pose_model import Coefficients, Points
from facerelief.train.systems.prnet_networks import LightNetwork as PositionNetwork

_VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
_CALM = -3.5  # logit of the expressions of an untrained network: hardly any
_AWAY = -1.2  # logit of the distance: about a metre
#: What linear layers' answers are multiplied by. Adam moves weights by its rate whatever they do:
#: smaller factors are smaller steps.
_STRENGTH = {
    "identity": 0.1, "expression": 0.25, "turn": 0.025, "place": 0.025, "light": 0.1, "albedo": 0.1,
}  # fmt: skip


def counts() -> dict[str, int]:
    """How many numbers each part of `Coefficients` has."""
    model = face_model()
    return {
        "identity": len(model.identity), "expression": len(model.expression),
        "turn": 6, "place": 4, "light": 27, "albedo": len(albedo_basis().components),
    }  # fmt: skip


class Told(nn.Module):
    """Coefficients from a code, one linear layer each; untrained, they are zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({k: nn.Linear(width, n) for k, n in counts().items()})
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, code: Tensor) -> Coefficients:
        """(B, width) to coefficients."""
        made = {k: _STRENGTH[k] * layer(code).float() for k, layer in self.layers.items()}
        return Coefficients(**made)


def calm(coefficients: Coefficients) -> Coefficients:
    """With the mean face at rest where everything is zero."""
    place = coefficients.place + coefficients.place.new_tensor([0, 0, 0, _AWAY])
    turned = {"expression": coefficients.expression + _CALM, "place": place}
    return Coefficients(**{**vars(coefficients), **turned})


class PaperNetwork(nn.Module):
    """VGG-16 (Simonyan and Zisserman 2014, configuration D) with coefficients for its classes.

    Its two layers of 4096 see 7 x 7 x 512 features of 224 x 224 pixels.
    """

    side = 224

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for out in _VGG16:
            if out:
                layers += [nn.Conv2d(width, out, 3, padding=1), nn.ReLU(inplace=True)]
                width = out
            else:
                layers.append(nn.MaxPool2d(2))
        self.encoder = nn.Sequential(*layers)
        self.code = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(),
        )  # fmt: skip
        self.told = Told(4096)
        for module in self.encoder.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> list[Coefficients]:
        """(B, 3, H, H) in [0, 1] to one answer."""
        seen = image
        if image.shape[-1] != self.side:
            seen = F.interpolate(image, size=self.side, mode="bilinear", antialias=True)
        features = self.encoder((seen - 0.45) / 0.225)
        return [calm(self.told(self.code(features.flatten(1))))]


class LightNetwork(nn.Module):
    """For CPUs: the model fitted to our light PRNet's position map, and a look that corrects it.

    Where a face's skin is, that network knows well; which coefficients make such a map is a linear
    question, whose answer needs no training (`Fit`). What is left to learn is what a map does not
    tell, and where it errs: the look reads the encoder's finer features where the fitted face is.

    Args:
        looks: of the PRNet, see there. frozen: its weights stay as they are.
        closeups: look at eyes and mouth from close by too.
    """

    size = 64  # texels a side of the map

    def __init__(
        self,
        pretrained: bool = True,
        frozen_norms: bool = False,
        looks: int = 1,
        frozen: bool = False,
        closeups: bool = True,
    ) -> None:
        super().__init__()
        self.frozen = frozen
        self.maps = PositionNetwork(pretrained, frozen_norms, looks)
        self.fit = Fit(self.size)
        self.look = Look(self.maps.encoder.channels[1:3], self.maps.places)
        self.closeups = CloseUps() if closeups else None
        if frozen:
            self.maps.requires_grad_(False)

    def train(self, mode: bool = True) -> LightNetwork:
        super().train(mode)
        if self.frozen:
            self.maps.eval()
        return self

    def forward(self, image: Tensor) -> list[Coefficients]:
        """(B, 3, H, H) in [0, 1] to the fitted answer, and what look and close-ups made of it."""
        features, answer = self.maps.seen(image, self.size)
        guess, code = self.fit(answer.maps[-1]), self.maps.code(features[-1])
        looked = self.look(features[1:3], image, answer.maps[-1], code, guess)
        return [guess, looked, *([self.closeups(image, looked)] if self.closeups else [])]


class Look(nn.Module):
    """What to change in coefficients, from what the picture shows where they put the face.

    Args:
        channels: of the features that are read. code: numbers of what the whole picture is like.
        size: texels a side that are looked at. width: channels of a texel.
    """

    def __init__(self, channels: Sequence[int], code: int, size: int = 32, width: int = 48) -> None:
        super().__init__()
        self.size = size
        self.points = Points.at_texels(size)
        self.joined = pointwise(sum(channels) + 12, width)
        self.fine = convolution(width, width)
        self.middle = convolution(width, 64)
        self.coarse = nn.Sequential(convolution(64, 96), convolution(96, 64))
        self.squeeze = pointwise(64, 32)
        self.mix = nn.Sequential(
            nn.Linear(32 * (size // 4) ** 2 + code, 384), nn.ReLU(inplace=True)
        )
        self.told = Told(384)

    def forward(
        self,
        features: Sequence[Tensor],
        image: Tensor,
        maps: Tensor,
        code: Tensor,
        given: Coefficients,
    ) -> Coefficients:
        """`given`, changed; an untrained one changes nothing. `maps` are what it was made of."""
        # What a look corrects is no reason to change where it looked from.
        given = given.detach()
        points = given.camera(self.points(given.identity, given.weights))
        size = self.size
        small = points.mT.reshape(-1, 3, size, size)
        places = small[:, :2].permute(0, 2, 3, 1)
        sources = [*features, image - 0.5]
        read = [F.grid_sample(f.float(), places, align_corners=False) for f in sources]
        mean = positions.mean_head(size).to(small).expand_as(small)
        left = positions.resized(maps, size) - small  # what no coefficients say
        fine = self.fine(self.joined(torch.cat([*read, small, mean, 10 * left], 1)))
        middle = self.middle(F.avg_pool2d(fine, 2))
        coarse = self.squeeze(self.coarse(F.avg_pool2d(middle, 2)))
        return given + self.told(self.mix(torch.cat([coarse.flatten(1), code], 1)))
