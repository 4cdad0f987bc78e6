"""Processes that answer questions within a time limit, and are ended when they do not.

MLX hangs on some programs and ends the process on others; neither may stop the judge. A worker says which library runs,
so that a limit that passes can be laid to the right one.
"""

import multiprocessing
import os
import traceback

STAGES = ("treadle", "mlx")


def serve(door, stage, answer):
    import programs

    def enter(library):
        stage.value = STAGES.index("mlx" if library.startswith("mlx") else "treadle")

    programs.entered = enter
    function = getattr(__import__(answer[0]), answer[1])
    while True:
        try:
            question = door.recv()
        except EOFError:
            return
        enter("mlx")
        try:
            door.send((function(question), ""))
        except Exception:
            door.send((None, "the judge: " + traceback.format_exc()))


class Worker:
    """A process that applies function (module, name) to questions, with these environment variables."""

    def __init__(self, function, environment=()):
        self.function, self.environment = function, dict(environment)
        self.process = None

    def start(self):
        context = multiprocessing.get_context("spawn")
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            self.door, theirs = context.Pipe()
            self.stage = context.Value("b", 0, lock=False)
            self.process = context.Process(target=serve, args=(theirs, self.stage, self.function), daemon=True)
            self.process.start()
            theirs.close()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def ask(self, question, limit):
        """(answer, ""), or (None, what happened, beginning with the library that ran) when there is none."""
        if self.process is None:
            self.start()
        self.door.send(question)
        try:
            if self.door.poll(limit):
                return self.door.recv()
            what = f"no end within {limit} s"
        except (EOFError, ConnectionError):
            self.process.join()
            what = f"the process ended with {self.process.exitcode}"
        library = STAGES[self.stage.value]
        self.end()
        return None, f"{library}: {what}"

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.door.close()
        self.process = None
