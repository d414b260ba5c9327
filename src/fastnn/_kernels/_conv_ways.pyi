def ways(
    N: int,
    C: int,
    H: int,
    W: int,
    O: int,
    geometry: tuple[int, ...],
    is_double: bool = False,
    packed: bool = False,
) -> dict[str, str]: ...
