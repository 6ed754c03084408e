"""A network pair and arrays small enough for tests, and one thread so that sums are the same."""

from functools import partial

import pytest
import torch

from mammostudy.models import Discriminator, Generator
from mammostudy.training import loop
from mammostudy.training.segmentation import Adversarial, Supervised

SIDE = 32
adam = partial(torch.optim.Adam, lr=2e-3, betas=(0.5, 0.999))
SETTINGS = {"overlap": "dice", "overlap_weight": 150.0, "optimiser": adam}


def _generator(seed):
    torch.manual_seed(seed)
    return Generator(width=2, levels=5)


@pytest.fixture(autouse=True)
def _one_thread_and_seed():
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def adversarial():
    """Make a small cGAN trainer; fields of ``Adversarial`` can be given."""
    return lambda seed=0, **fields: Adversarial(
        _generator(seed), Discriminator(width=2), **(SETTINGS | fields)
    )


@pytest.fixture
def supervised():
    """Make a small trainer without adversary."""
    return lambda seed=0, **fields: Supervised(_generator(seed), **(SETTINGS | fields))


@pytest.fixture
def batch():
    """Ten noisy images, and their masks: a square whose place differs."""
    generator = torch.Generator().manual_seed(7)
    masks = torch.zeros(10, 1, SIDE, SIDE)
    for i in range(10):
        masks[i, :, 4 + i : 16 + i, 6 : 18 + i] = 1
    images = 0.5 * masks + 0.5 * torch.rand(masks.shape, generator=generator)
    return images, masks


class KilledError(BaseException):
    pass


@pytest.fixture
def killed():
    """Return ``killed(train, after)``: training dies once the checkpoint of a step is written."""
    usual = loop._keep

    def kill(train, after):
        def dying(path, parts, done, **rest):
            usual(path, parts, done, **rest)
            if done == after:
                raise KilledError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
            patch.setattr(loop, "_keep", dying)
            with pytest.raises(KilledError):
                train()

    return kill


@pytest.fixture
def flat():
    """Return ``flat(*modules)``: all that a checkpoint holds of modules, in one row."""
    return lambda *modules: torch.cat(
        [value.flatten().double() for each in modules for value in each.state_dict().values()]
    )
