"""``pvchat fit|validate|test|predict``: LightningCLI over the signatures, one run folder for each run."""

import sys

if __name__ == "__main__":  # started as a script: statistics.py beside this file would hide Python's own
    sys.path[0] = __file__.rpartition("pvchat")[0] or "."

import logging
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentError, set_parsing_settings
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_only
from transformers.utils.logging import disable_progress_bar

from pvchat.arguments import expand, has_config, with_absolute_paths
from pvchat.callbacks import (
    Checkpointing,
    CostMonitor,
    EarlyStopping,
    HeadActivationMap,
    NormMonitor,
    OverallProgress,
    PresencePlots,
    RunFolder,
    SampleAnswers,
    SparsityController,
    StageSchedule,
    check_groups,
)
from pvchat.checkpoints import read_checkpoint, weights_digest
from pvchat.datamodules.personalized import PersonalizedDataModule
from pvchat.errors import UserError
from pvchat.loading import Weights, load_weights
from pvchat.loggers import LoggerName, make_loggers
from pvchat.modules.compilation import Compiler, compile_blocks
from pvchat.planning.memory_check import check_memory
from pvchat.planning.meter import Meter
from pvchat.reporting.summary import summary
from pvchat.runs import ANSWERS, new_run, open_run, remove_if_empty
from pvchat.stages import StagePlan
from pvchat.strategies import check_strategy, launched, register_ddp, resolve
from pvchat.training import LearningRates, PersonalizedVideoChat
from pvchat.usage import explain, user_error

NO_NEWS = (
    "does not have many workers",
    "args parameter is intended",  # we hand over what the user typed
    "in eval mode",  # the frozen base
    "Total length of",  # no validation split
    "LeafSpec",
    "gradient_checkpointing_enable",  # its successor is not in every transformers 5
    "number of training batches",
    "FSDP2-wrapped module .FSDPVideoChat. returned a view",  # nothing changes it in place
    "predict returned None",  # the run folder has the answers
)


class PVChatCLI(LightningCLI):
    """Adds to LightningCLI: ``name``, ``runs``, ``logger``, ``stages``, ``init_from``, ``weights``,
    ``threads``, ``compile``."""

    run_dir: Path | None = None
    run_folder: RunFolder
    resumed_at: int | None = None  # step of the checkpoint that is continued

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        every, command = LightningCLI.subcommands(), next(iter(kwargs["args"]), "")
        if command in every:  # the parsers of the others would take a third of a second
            self.subcommands = lambda: {command: every[command]}  # type: ignore[method-assign]
        try:
            super().__init__(*args, **kwargs)
        except BaseException:
            if self.run_dir is not None and _is_first_process():
                remove_if_empty(self.run_dir)
            raise

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--name", type=str, default="run", help="Name of the experiment.")
        parser.add_argument("--runs", type=str, default="runs", help="Folder of all runs.")
        parser.add_argument("--run_dir", type=str | None, default=None, help="Use this run folder.")
        parser.add_argument(
            "--logger", type=LoggerName, default="tensorboard", help="Where metrics are logged."
        )
        parser.add_argument("--check_memory", type=bool, default=True, help="Refuse what cannot fit.")
        parser.add_argument(
            "--compile",
            type=bool | Compiler,
            default=False,
            help="Train with torch.compile (true: inductor).",
        )
        parser.add_argument("--threads", type=int | None, default=None, help="CPU threads.")
        parser.add_argument(
            "--init_from", type=str | None, default=None, help="Run or adapter to start from."
        )
        parser.add_argument("--then_test", type=bool, default=False, help="Test what fit has trained.")
        parser.add_argument("--weights", type=Weights, default="last", help="Which of that run.")
        parser.add_argument("--stages", type=StagePlan, default=StagePlan(), help="Image and video stage.")
        parser.add_lightning_class_args(SparsityController, "sparsity_controller")
        parser.add_lightning_class_args(HeadActivationMap, "head_activation_map")
        parser.add_lightning_class_args(NormMonitor, "norms")
        parser.add_lightning_class_args(SampleAnswers, "sample_answers")
        parser.add_lightning_class_args(Checkpointing, "checkpoint")
        parser.add_lightning_class_args(EarlyStopping, "early_stopping")
        parser.link_arguments("stages", "data.stages", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)
        self.link_subjects(parser)

    def link_subjects(self, parser: LightningArgumentParser) -> None:
        """Who is learned is read from the corpus."""
        parser.link_arguments("data", "model.subjects", compute_fn=_subjects, apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        super().parse_arguments(parser, args)
        config = self.config[self.config.subcommand]
        if not 0 <= config.seed_everything < 2**32:
            raise UserError(f"seed_everything must be in 0..{2**32 - 1}: got {config.seed_everything}.")
        if config.threads is not None and config.threads < 1:
            raise UserError(f"threads must be >= 1 or null: got {config.threads}.")

    def _parse_ckpt_path(self) -> None:
        """Lightning's lets hyperparameters in the checkpoint override the flags, and runs pickled code."""
        config = self.config[self.config.subcommand]
        if config.get("ckpt_path"):
            self.resumed_at = read_checkpoint(config.ckpt_path).get("global_step")
            config.weights_only = True

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        check_groups(config.stages, [field.name for field in fields(LearningRates)])
        check_strategy(config.trainer)
        self._record = self._config_text()
        if config.threads:
            torch.set_num_threads(config.threads)
        if self.subcommand == "fit" and config.check_memory and _is_first_process():
            check_memory(config)
        run_dir = Path(config.run_dir or Path(config.runs) / config.name)
        if _is_first_process():  # the other processes write nothing
            run_dir = open_run(run_dir) if config.run_dir else new_run(config.runs, config.name)
        self.run_dir = run_dir
        config.trainer.default_root_dir = str(self.run_dir)
        config.trainer.max_epochs = config.trainer.max_epochs or _epochs(config.stages)
        self._logs = config.trainer.logger is None  # else the user brings a logger, or wants none
        if self._logs:
            config.trainer.logger = False  # made from the flag in instantiate_trainer

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        assert self.run_dir is not None
        config, made = self.config[self.subcommand], self.config_init[self.subcommand]
        self.run_folder = RunFolder(self.run_dir, config=self._record, weights=config.weights)
        counter = None if config.compile else Meter  # it sees no operators of compiled code
        ours = [self.run_folder, StageSchedule(made.stages), PresencePlots(), CostMonitor(counter=counter)]
        if config.trainer.enable_progress_bar is not False:
            ours.append(OverallProgress())
        made.trainer.callbacks = [*(made.trainer.callbacks or []), *ours]
        made.trainer.strategy = resolve(made.trainer.strategy)
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except (ValueError, MisconfigurationException) as error:
            raise UserError(f"the trainer cannot be what was asked for: {_sentence(error)}") from error
        if self._logs:
            trainer.loggers = make_loggers(config.logger, self.run_dir, config.name)
        return trainer

    def instantiate_classes(self) -> None:
        super().instantiate_classes()
        stages = self.datamodule.stages
        shown = (stages.image.num_frames, stages.video.num_frames)
        self.model.chat.views.check_frames(self.datamodule.settings.num_frames, shown)
        self.datamodule.attach(self.model.chat.views.extractor, self.model.chat.registry)
        config = self.config[self.subcommand]
        if config.init_from:
            found = load_weights(self.model, config.init_from, config.weights)
            if self.run_dir and self.run_dir.resolve() != Path(config.init_from).resolve():
                self.run_folder.started_from = {
                    "path": str((found if found.is_dir() else found.parent.parent).absolute()),
                    "weights": config.weights,
                    "sha256": weights_digest(found),
                }
            if _is_first_process():
                print(f"Weights: {found}", file=sys.stderr)
        if config.compile and self.subcommand == "fit":
            compile_blocks(self.model.chat, "inductor" if config.compile is True else config.compile)

    def after_fit(self) -> None:
        self._say_where()
        if self.config[self.subcommand].then_test:
            self.trainer.test(self.model, datamodule=self.datamodule, verbose=False)
            self.after_test()

    @rank_zero_only
    def _say_where(self) -> None:
        config = self.config[self.subcommand]
        if self.resumed_at == self.trainer.global_step:
            print(f"The training was complete already ({self.resumed_at} steps): nothing to do.")
        if config.run_dir and not config.ckpt_path:
            return  # whoever chose the folder knows it
        best = " (with --weights best: as validated best)" if self.config_init.fit.checkpoint.score else ""
        print(f"Run folder: {self.run_dir}. Evaluate it: pvchat test --run {self.run_dir}{best}")

    @rank_zero_only
    def after_test(self) -> None:
        print(f"\n{summary(self.model.metrics)}\n\nRun folder: {self.run_dir}")

    @rank_zero_only
    def after_predict(self) -> None:
        assert self.run_dir is not None
        print(f"{len(self.model.predictions)} answers: {self.run_dir / ANSWERS}")

    def _config_text(self) -> str:
        config = with_absolute_paths(self.config[self.subcommand].clone())
        for key in ("ckpt_path", "weights_only", "run_dir", "init_from"):
            config[key] = None  # of this call, not of the experiment
        config.weights, config.then_test = "last", False
        return str(self._parser(self.subcommand).dump(config, skip_validation=True))


def run(args: Sequence[str], cli: type[PVChatCLI] | None = None) -> PVChatCLI:
    """Run one LightningCLI command, with another ``cli`` if given. Raises UserError, usage errors in one
    sentence."""
    quiet()
    register_ddp()
    set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
    try:
        return (cli or PVChatCLI)(
            PersonalizedVideoChat,
            PersonalizedDataModule,
            args=expand(args),
            seed_everything_default=0,
            save_config_callback=None,
            parser_kwargs={"parser_mode": "omegaconf+", "exit_on_error": False, "allow_abbrev": False},
            trainer_defaults={
                "accelerator": "auto",
                **launched(),
                "gradient_clip_val": 1.0,
                "reload_dataloaders_every_n_epochs": 1,
                "num_sanity_val_steps": 0,
                "log_every_n_steps": 1,
                "enable_model_summary": False,
            },
        )
    except ArgumentError as error:
        if not has_config(args) and " are required: " in str(error):
            raise UserError(_needs_config(args[0])) from error
        raise UserError(explain(str(error))) from error
    except ValueError as error:
        if (ours := user_error(error)) is None:
            raise
        raise ours from None


def quiet() -> None:
    """Silence what is not news for our users."""
    disable_progress_bar()  # type: ignore[no-untyped-call]
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.seed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in NO_NEWS:
        warnings.filterwarnings("ignore", f"(?s).*{text}")


def _needs_config(command: str) -> str:
    if command == "fit":
        return "fit needs a config: got none. Give one, such as -c experiments/debug.yaml."
    return f"{command} needs a trained run: got none. Give --run RUN, or a config with -c FILE."


def _is_first_process() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0


def _subjects(datamodule: PersonalizedDataModule) -> tuple[str, ...]:
    return datamodule.subjects


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())


def _epochs(stages: Any) -> int:
    return int(stages.image.epochs + stages.video.epochs)


if __name__ == "__main__":  # for `torchrun` and `fabric run`
    from pvchat.cli import main

    sys.exit(main())
