def run(*, once: bool) -> int:
    raise NotImplementedError


def serve_simulator(which: str, host: str, port: int) -> None:
    raise NotImplementedError
