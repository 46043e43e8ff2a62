"""Pictures, tables and remarks for the loggers that can show them, under the same names in each."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from pvchat.loggers.event_log import EventLog
from pvchat.loggers.run_log import RunLog

Cell = str | float | Image.Image | None
SHEET_PX = 720  # width of the pictures of a table, where they are one picture


def can_show(loggers: Iterable[Logger]) -> bool:
    """Is anything but numbers of use to any of them?"""
    return any(isinstance(logger, TensorBoardLogger | WandbLogger) for logger in loggers)


def show_picture(loggers: Iterable[Logger], name: str, picture: Image.Image | Figure, *, step: int) -> None:
    """A picture, or a figure as one."""
    image = _drawn(picture) if isinstance(picture, Figure) else picture.convert("RGB")
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [image], step=step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, np.asarray(image), step, dataformats="HWC")


def show_numbers(loggers: Iterable[Logger], numbers: Mapping[str, float | Tensor], *, step: int) -> None:
    """Numbers of a training step that are not there at each: Lightning's own ``log`` would repeat the last
    ones. To be called before the step itself is logged, whose row they join in ``metrics.csv``."""
    values = {name: float(value) for name, value in numbers.items()}
    for logger in loggers:
        if isinstance(logger, RunLog):
            logger.join(values)
        else:
            logger.log_metrics(values, step)


def show_text(loggers: Iterable[Logger], name: str, text: str, *, step: int) -> None:
    """A remark at ``step``."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_metrics({name: text}, step)  # type: ignore[dict-item]
        elif isinstance(logger, TensorBoardLogger):
            if isinstance(logger, EventLog):
                logger.prepare(name, step)
            logger.experiment.add_text(name, _plain(text), step)


def show_table(
    loggers: Iterable[Logger], name: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, step: int
) -> None:
    """A table whose cells may be pictures; TensorBoard has them beside it, one below the other, in
    ``name/pictures``."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.log_table(name, list(columns), [[_wandb_cell(c) for c in row] for row in rows], step=step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text(name, _markdown(columns, rows), step)
            if pictures := [cell for row in rows for cell in row if isinstance(cell, Image.Image)]:
                sheet = np.asarray(_sheet(pictures))
                logger.experiment.add_image(f"{name}/pictures", sheet, step, dataformats="HWC")


def _drawn(figure: Figure) -> Image.Image:
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib has no types
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _wandb_cell(cell: Cell) -> Any:
    import wandb

    return wandb.Image(cell) if isinstance(cell, Image.Image) else cell


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Pictures are numbered as they stand in the sheet."""
    lines, seen = [list(columns), ["---"] * len(columns)], 0
    for row in rows:
        line = []
        for cell in row:
            seen += isinstance(cell, Image.Image)
            line.append(f"picture {seen}" if isinstance(cell, Image.Image) else _plain(cell))
        lines.append(line)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(cell: str | float | None) -> str:
    if cell is None:
        return "-"
    text = f"{cell:.3g}" if isinstance(cell, float) else str(cell)
    return " ".join(html.escape(text, quote=False).replace("|", "\\|").split())


def _sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """All below one another, as wide as they may be."""
    fitted = [
        p.convert("RGB").resize((SHEET_PX, max(1, round(p.height * SHEET_PX / p.width)))) for p in pictures
    ]
    sheet = Image.new("RGB", (SHEET_PX, sum(p.height for p in fitted)))
    top = 0
    for picture in fitted:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet
