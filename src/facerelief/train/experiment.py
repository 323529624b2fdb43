"""One phase of an experiment, and what it leaves: a checkpoint that a system is loaded from."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from facerelief.catalogue import plain, reason_of
from facerelief.data.sources import Mixture, build_source, build_validation
from facerelief.memory import keep_freed_memory
from facerelief.train import start
from facerelief.train.callbacks import Averaging, Checkpoint, NetworkShare, Pictures
from facerelief.train.config import AHEAD, ConfigError, TrainConfig, load_config
from facerelief.train.module import Training
from facerelief.train.start import StartError
from facerelief.train.systems import System, find

#: Weights of a system: 2 GB, and in a training four times that.
MOST_WEIGHTS = 500_000_000


def run_phase(
    experiment: TrainConfig,
    out: Path,
    max_time: timedelta | None = None,
    resume: bool = False,
    progress: bool = True,
) -> dict[str, Any]:
    """Train one phase, and leave ``last.ckpt``, ``config.yaml``, logs and pictures in ``out``.

    Returns:
        Its summary; see `facerelief.train.phases.run`.

    Raises:
        FileExistsError: ``out`` holds a training and ``resume`` is off.
        ConfigError: it cannot be trained, or gone on with.
    """
    last = out / "last.ckpt"
    if last.exists() and not resume:
        raise FileExistsError(f"{out} already holds a training; resume it or choose another folder")
    keep_freed_memory()
    lightning.seed_everything(experiment.seed, workers=True, verbose=False)

    seconds = max_time.total_seconds() if max_time else None
    checkpoint = last if resume and last.exists() else None
    done = _batches_done(checkpoint)
    with _one_line("data.sources"):
        mixture = _mixture(experiment, done)
    system = _system(experiment)
    if checkpoint is None:
        _begin(system, experiment, mixture)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.yaml").write_text(yaml.safe_dump(asdict(experiment), sort_keys=False))
    module = Training(
        system,
        experiment.optimizer,
        experiment.samples,
        seconds,
        experiment.consistency,
    )
    module.to(memory_format=torch.channels_last)
    share = NetworkShare()
    saver = Checkpoint(last)
    logs = f"logs_from_{done}" if done else "logs"  # loggers clear a folder that they reopen
    trainer = lightning.Trainer(
        max_steps=-1,
        max_epochs=-1,
        precision=_precision(experiment.precision),
        accelerator="auto",
        devices=1,
        logger=[CSVLogger(out, name="", version=logs), TensorBoardLogger(out, "", logs)],
        callbacks=_callbacks(experiment, out, share, saver, progress),
        val_check_interval=max(1, experiment.validate_every // experiment.data.batch),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=20,
        enable_progress_bar=progress,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    blamed = f"{checkpoint}: cannot be gone on with" if checkpoint else "cannot be trained"
    with warnings.catch_warnings(), _one_line(blamed, lambda: module.steps > 0):
        # Frozen norms are, on purpose.
        warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")
        trainer.fit(module, _training_loader(experiment, mixture), _validation_loader(experiment),
                    ckpt_path=checkpoint, weights_only=True)  # fmt: skip
    saver.save(trainer)
    figures = {k: float(v) for k, v in trainer.callback_metrics.items()}
    summary = {
        "samples": module.samples_seen,
        "seconds": round(module.seconds, 1),
        "samples_per_second": round(share.rate, 2),
        "network_share": round(share.share, 4),
        "loss": module.fall,
        "figures": figures,
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return summary


def load_system(checkpoint: Path, overrides: list[str] | None = None) -> System:
    """The trained system (averaged weights) of a checkpoint of `run`, in evaluation mode.

    Args:
        overrides: ``key.key=value`` changes of its configuration that leave the weights fitting,
            as ``system.options.stages=1``.

    Raises:
        ConfigError: there is no usable ``config.yaml`` beside the checkpoint, or it is another's.
        StartError: it is no checkpoint.
    """
    experiment = load_config(Path(checkpoint).parent / "config.yaml", overrides)
    system = _system(experiment, blank=True)
    weights = start.checkpoint_weights(Path(checkpoint))
    with _one_line(f"{checkpoint}: not of this configuration"):
        system.load_state_dict(weights)
    return system.eval()


@contextmanager
def _one_line(what: str, started: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Turns whatever goes wrong before the training has `started` into a ConfigError.

    Systems and sources take their options as they are: what is wrong with these shows where they
    are used, and in the first step at the latest.
    """
    try:
        yield
    except (ConfigError, OSError):
        raise
    except Exception as error:
        if started():
            raise
        raise ConfigError(f"{what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if "Original Traceback" in str(error):  # of a worker that draws samples
        return plain(str(error).strip().splitlines()[-1])
    name = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
    return name + reason_of(error)


def _system(experiment: TrainConfig, blank: bool = False) -> System:
    with _one_line("system"):
        system = find(experiment.system.name)
        preset, options = experiment.system.preset, experiment.system.options
        without = {**options, **system.blank}
        with torch.device("meta"), warnings.catch_warnings():
            # Has shapes and no memory, whatever widths are asked for; stored weights go nowhere.
            warnings.simplefilter("ignore")
            parts = system.from_preset(preset, **without).parameters()
            weights = sum(part.numel() for part in parts)
        if weights > MOST_WEIGHTS:
            raise ConfigError(f"system: {weights} weights, more than {MOST_WEIGHTS}")
        return system.from_preset(preset, **{**options, **(system.blank if blank else {})})


def _begin(system: System, experiment: TrainConfig, mixture: Mixture) -> None:
    """Start with the weights that the configuration names."""
    if experiment.start_from is None:
        return
    try:
        weights = start.read(experiment.start_from)
        norms = start.begin(system, weights, experiment.start_parts, system.optional)
    except StartError as error:
        raise ConfigError(f"start_from: {error}") from error
    if norms:
        with _one_line("data.sources"):
            start.settle(system, norms, mixture.batch(0).image)
    system.begin()


def _batches_done(checkpoint: Path | None) -> int:
    if checkpoint is None:
        return 0
    with _one_line(f"{checkpoint}: cannot be gone on with"):
        progress = start.read_checkpoint(checkpoint)["loops"]["fit_loop"]
        return int(progress["epoch_loop.batch_progress"]["total"]["completed"])


def _mixture(experiment: TrainConfig, start: int) -> Mixture:
    data = experiment.data
    sources = [(build_source(s.name, s.options), s.share) for s in data.sources]
    return Mixture(
        sources, data.batch, data.size, experiment.seed, start, data.alternate, data.repeat
    )


def _training_loader(experiment: TrainConfig, mixture: Mixture) -> DataLoader:
    data = experiment.data
    return DataLoader(
        mixture,
        batch_size=None,
        num_workers=data.workers,
        prefetch_factor=AHEAD if data.workers else None,
        persistent_workers=data.workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def _validation_loader(experiment: TrainConfig) -> DataLoader | None:
    data = experiment.data
    if data.validation is None:
        return None
    chosen = data.validation
    batches = build_validation(chosen.name, data.size, data.batch, chosen.options)
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]  # a list is a dataset


def _callbacks(
    experiment: TrainConfig,
    out: Path,
    share: NetworkShare,
    checkpoint: Checkpoint,
    progress: bool,
) -> list[Callback]:
    callbacks: list[Callback] = [
        share,
        Pictures(out / "pictures"),
        checkpoint,
    ]
    if experiment.ema:
        callbacks.append(Averaging(experiment.ema))
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=10))
    return callbacks


def _precision(name: str) -> Any:
    if name != "auto":
        return name
    # On CPUs float32 in channels-last is the fastest that was measured, bfloat16 units or not.
    if torch.cuda.is_available() and torch.cuda.is_bf16_supported():
        return "bf16-mixed"
    return "32-true"
