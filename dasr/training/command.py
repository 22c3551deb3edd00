"""`dasr learner` (started by `dasr train`) and `dasr evaluate`."""

from __future__ import annotations

import logging
import os
import sys

import click

from dasr import config as configuration
from dasr.errors import UserError, of_system
from dasr.results.layout import Layout

logger = logging.getLogger(__name__)

# Of a collective: who hangs is the coordinator's to judge (--hang-seconds in which the job could run)
PATIENCE_S = 86_400.0


@click.command()
@click.argument("run")
@click.option("--config", "config_path", default="config.yaml", show_default=True, help="The configuration.")
def learner(run: str, config_path: str) -> None:
    """Be one learner of RUN: rank, size, device and the store's address come from the environment.

    Ends with status 75 when all were asked to stop and everything is saved."""
    from dasr.launch.membership import EXIT_DONE, EXIT_MISTAKE, EXIT_SAVED, exit_now

    try:
        finished = _learn(run, config_path)
    except (UserError, OSError) as error:
        told = of_system(error) if isinstance(error, OSError) else error
        if told is None:
            raise
        print(f"dasr: error: {told}", file=sys.stderr)
        exit_now(EXIT_MISTAKE)
    if not finished:
        logger.info("stopped as asked, everything is saved")
    exit_now(EXIT_DONE if finished else EXIT_SAVED)


def _learn(run: str, config_path: str) -> bool:
    """True when the budget is spent, False when all were asked to stop."""
    import torch

    from dasr.launch.membership import HeartbeatSender, Membership
    from dasr.training.run import train
    from dasr.worlds.process.world import connect

    membership = Membership.from_environment()
    config = configuration.load(config_path)
    wanted = configuration.find_run(config, run)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if membership.device.startswith("cuda"):
        torch.cuda.set_device(membership.device)
    device = membership.device
    with HeartbeatSender(membership) as heartbeats:
        world = connect(
            membership.store(),
            membership.rank,
            membership.size,
            membership.nodes,
            device,
            PATIENCE_S,
            membership.secret,
        )
        finished = world.run(
            train(
                world,
                config,
                wanted,
                device,
                lambda: heartbeats.stop_requested,
                heartbeats.at,
                membership.replacement,
            )
        )
        world.close()
    return finished


@click.command()
@click.argument("run")
@click.option("--config", "config_path", default="config.yaml", show_default=True, help="The configuration.")
def evaluate(run: str, config_path: str) -> None:
    """Held-out loss of RUN's consensus model, and of its learners' own, at every snapshot (on dev)."""
    from dasr.training import heldout

    config = configuration.load(config_path)
    wanted = configuration.find_run(config, run)
    heldout.evaluate(heldout.of_split(config, "dev"), Layout.of(config).run(wanted.name))
