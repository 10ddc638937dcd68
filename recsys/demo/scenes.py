"""Pictures of the demo clips: four families of moving scenes, drawn with numpy, 24 variants each.

Every scene is a generator of RGB frames at half size (`WIDTH` x `HEIGHT`); the encoder doubles them, which costs a
quarter of the drawing time and softens lines into the glow these scenes want anyway. A scene is fully decided by its
variant: no clock, no shared random state. It does not encode, write files or make sound.

The families are made to be told apart in one glance: `neon` is thin bright lines on near-black, `ocean` has a horizon
with a sun above moving water, `petri` is dots that live and die on pale paper, `fractal` fills the frame with swirls.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

WIDTH = 180
HEIGHT = 320
FPS = 18

Frame = NDArray[np.uint8]
Plane = NDArray[np.float32]
Scene = Callable[[int, int], Iterator[Frame]]

_TAU = 2.0 * np.pi
# Pixel coordinates around the centre: x in [-1, 1], y in [-16/9, 16/9] downwards, so that a circle is round.
_X, _Y = np.meshgrid(
    np.linspace(-1.0, 1.0, WIDTH, dtype=np.float32),
    np.linspace(-HEIGHT / WIDTH, HEIGHT / WIDTH, HEIGHT, dtype=np.float32),
)
_RADIUS = np.hypot(_X, _Y) + np.float32(1e-3)
_ANGLE = np.arctan2(_Y, _X)
_LOG_RADIUS = np.log(_RADIUS)


def colour(hexadecimal: str) -> Plane:
    """RGB in 0..1 of a colour such as ``"ff8000"``.

    >>> colour("ff0000").tolist()
    [1.0, 0.0, 0.0]
    """
    return np.frombuffer(bytes.fromhex(hexadecimal), dtype=np.uint8).astype(np.float32) / np.float32(255.0)


def draw(family: str, variant: int, *, frame_count: int) -> Iterator[Frame]:
    """Frames of one scene, each uint8 of shape (`HEIGHT`, `WIDTH`, 3).

    Raises ``ValueError`` when the family is unknown.
    """
    scene = _SCENES.get(family)
    if scene is None:
        raise ValueError(f"unknown clip family {family!r}; known: {', '.join(_SCENES)}")
    return scene(variant, frame_count)


def _to_frame(rgb: Plane) -> Frame:
    return (np.clip(rgb, 0.0, 1.0) * np.float32(255.0)).astype(np.uint8)


# ---- neon: glowing lines with rotational symmetry -------------------------------------------------------------------

_NEON_PALETTES = (
    ("ff2bd6", "19e3ff"),
    ("fff02b", "ff2b6a"),
    ("3dff7c", "2b7bff"),
    ("ff7a18", "b14cff"),
    ("22ffd5", "ff3df2"),
    ("ff3b3b", "ffd23b"),
    ("6f5bff", "5bffb0"),
    ("f7f7ff", "ff2b95"),
)


def _folded(angle: Plane, sides: int) -> Plane:
    """Angle within one of `sides` equal sectors, centred on zero: the fold that gives every shape its symmetry."""
    sector = np.float32(_TAU / sides)
    folded: Plane = np.mod(angle, sector) - sector / 2
    return folded


def _from_line(value: Plane) -> Plane:
    """Distance of each value from the nearest half-integer: lines repeated at every unit."""
    distance: Plane = np.abs(np.mod(value, np.float32(1.0)) - np.float32(0.5))
    return distance


def _neon_distance(variant: int, sides: int, phase: float) -> Plane:
    """Distance of each pixel from the nearest line of the figure, in units of the line's width."""
    swing, phase32 = np.float32(np.sin(phase)), np.float32(phase)
    distance: Plane
    match variant % 4:
        case 0:  # a tunnel of twisted polygons, flying towards the viewer
            folded = _folded(_ANGLE + np.float32(0.45) * swing * _LOG_RADIUS + np.float32(0.3) * phase32, sides)
            depth = (_LOG_RADIUS + np.log(np.cos(folded))) * np.float32(2.2) - np.float32(0.9) * phase32
            distance = _from_line(depth) * _RADIUS * np.float32(26.0)
        case 1:  # flowers inside flowers, breathing
            petals = np.float32(0.32) * np.cos(_ANGLE * sides + np.float32(1.4) * phase32)
            rings = _RADIUS / (np.float32(1.0) + petals * np.cos(phase32 - _RADIUS * 2))
            distance = _from_line(rings * np.float32(3.1) - np.float32(0.5) * phase32) * np.float32(17.0)
        case 2:  # a kaleidoscope of crossing lines
            folded = np.abs(_folded(_ANGLE + np.float32(0.25) * phase32, sides))
            across, along = _RADIUS * np.sin(folded), _RADIUS * np.cos(folded)
            first = _from_line(across * np.float32(2.4) + along * swing + np.float32(0.35) * phase32)
            second = _from_line(along * np.float32(1.9) - np.float32(0.45) * phase32)
            distance = np.minimum(first, second) * np.float32(20.0)
        case _:  # polygons turning against each other
            distance = np.full_like(_RADIUS, 99.0)
            for ring in range(4):
                turn = phase * (0.7 - 0.35 * ring) * (-1) ** ring
                edge = _RADIUS * np.cos(_folded(_ANGLE + np.float32(turn), sides))
                size = np.float32(0.24 + 0.24 * ring + 0.06 * np.sin(phase * 1.3 + ring))
                distance = np.minimum(distance, np.abs(edge - size) * np.float32(30.0))
    return distance


def _neon(variant: int, frame_count: int) -> Iterator[Frame]:
    inner, outer = (colour(code) for code in _NEON_PALETTES[(variant * 3 + variant // 8) % 8])
    sides = 3 + (variant // 4 + variant) % 6
    blend = np.clip(_RADIUS / np.float32(1.5), 0, 1)[..., None]
    vignette = np.float32(1.1) - np.float32(0.35) * blend
    night = colour("07041a") + np.float32(0.05) * (inner + outer) * (1 - blend)
    for index in range(frame_count):
        phase = _TAU * index / (FPS * 5.0) + variant
        distance = _neon_distance(variant, sides, phase)[..., None]
        # A white-hot core inside a coloured halo is what the eye reads as a gas tube.
        halo = 1 / (1 + distance * distance * np.float32(0.55))
        core = halo * halo * halo * halo
        shift = np.float32(0.25 * np.sin(phase * 0.8))
        tint = inner + (outer - inner) * np.clip(blend + shift, 0, 1)
        yield _to_frame(night + (tint * halo * np.float32(1.15) + core * np.float32(0.75)) * vignette)


# ---- ocean: a horizon, a sun or moon, and water ---------------------------------------------------------------------

# Sky at the top, sky at the horizon, the disc, water near, for each variant's hour of the evening.
_OCEAN_PALETTES = (
    ("2b2f77", "ff9a5a", "fff0c2", "0d1f4a"),
    ("3a1c5e", "ff6f61", "ffd9a0", "1a1038"),
    ("0f2a55", "f7b267", "fff4d6", "07263f"),
    ("54276b", "ffb199", "fff1e6", "2a1746"),
    ("102a43", "e8736c", "ffc9a3", "0b1c33"),
    ("5b3a8c", "ffc46b", "fffbe0", "1d2b64"),
    ("0b1b3a", "3f6fa8", "f4f8ff", "05122b"),
    ("7a2e4d", "ff8c42", "ffe28a", "35102b"),
)
_ROWS = np.arange(HEIGHT, dtype=np.float32)[:, None]
_COLUMNS = np.arange(WIDTH, dtype=np.float32)[None, :]
_WAVE_LAYERS = 7


def _sky(variant: int, horizon: int, rng: np.random.Generator) -> tuple[Plane, Plane, float]:
    """The still part of an ocean scene: picture, colour of the disc and the disc's column."""
    top, low, disc, _ = (colour(code) for code in _OCEAN_PALETTES[variant % 8])
    height = np.clip(_ROWS / horizon, 0, 1)[..., None] ** np.float32(1.4)
    picture = np.broadcast_to(top + (low - top) * height, (HEIGHT, WIDTH, 3)).copy()
    column = float(WIDTH * rng.uniform(0.25, 0.75))
    night = variant % 8 == 6
    row = horizon * (0.4 if night else rng.uniform(0.78, 0.96))
    size = float(rng.uniform(13, 19)) if night else float(rng.uniform(20, 32))
    away = np.hypot(_COLUMNS - column, _ROWS - row)[..., None]
    picture += disc * np.exp(-away / np.float32(size * 1.6)) * np.float32(0.6)
    if night or variant % 5 == 0:
        rows, columns = rng.integers(0, int(horizon * 0.7), 70), rng.integers(0, WIDTH, 70)
        picture[rows, columns] += rng.uniform(0.25, 0.9, (70, 1)).astype(np.float32)
    face = np.clip(size - away, 0, 1)
    picture = picture * (1 - face) + disc * face
    for bank in range(int(rng.integers(2, 5))):  # thin bands of cloud, lit from below
        middle, thick = rng.uniform(0.25, 0.9) * horizon, rng.uniform(1.5, 5.0)
        drift = 3.0 * np.sin(_COLUMNS / rng.uniform(14, 30) + bank)
        shape = np.exp(-(((_ROWS - middle - drift) / thick) ** 2)) * np.exp(
            -(((_COLUMNS - rng.uniform(0, WIDTH)) / 60) ** 2)
        )
        picture += (np.float32(0.30) * (low - top) * shape[..., None]).astype(np.float32)
    return picture.astype(np.float32), disc, column


def _paint_land(picture: Plane, variant: int, horizon: int, rng: np.random.Generator) -> None:
    """Headlands on the horizon of every other variant, dark against the light."""
    if variant % 2 == 0:
        return
    x = np.arange(WIDTH) / WIDTH
    start, width, height = rng.uniform(0.0, 0.5), rng.uniform(0.35, 0.6), rng.uniform(14, 34)
    inside = np.clip((x - start) / width, 0, 1)
    ridge = height * np.sin(np.pi * inside) ** 0.8 * (1 + 0.25 * np.sin(x * 31 + variant) + 0.12 * np.sin(x * 77))
    land = (_ROWS - horizon > -ridge[None, :]) & (_ROWS - horizon <= 0)
    shade = colour(_OCEAN_PALETTES[variant % 8][3]) * np.float32(0.7) + np.float32(0.03)
    picture[land] = shade


def _paint_boat(picture: Plane, column: float, row: float, size: float) -> None:
    """A sailing boat's outline: two triangles of sail above a hull, rocking with the row it is given."""
    up, side = row - _ROWS, _COLUMNS - column
    main_sail = (up > 2) & (up < size) & (side > 0.6) & (side < (size - up) * 0.55)
    jib = (up > 2) & (up < size * 0.85) & (side < -0.4) & (side > -(size * 0.85 - up) * 0.4)
    hull = (up <= 1) & (up > -3) & (np.abs(side) < size * 0.5 + up * 0.8)
    picture[main_sail | jib] = colour("fdf3e3") * np.float32(0.92)
    picture[hull] = colour("1a0f1c")


def _ocean(variant: int, frame_count: int) -> Iterator[Frame]:
    rng = np.random.default_rng(1000 + variant)
    horizon = int(HEIGHT * rng.uniform(0.40, 0.56))
    still, disc, column = _sky(variant, horizon, rng)
    _paint_land(still, variant, horizon, rng)
    _, low, _, deep = (colour(code) for code in _OCEAN_PALETTES[variant % 8])
    swell = rng.uniform(0.6, 1.5)
    phases = rng.uniform(0, _TAU, (_WAVE_LAYERS, 2))
    tops = horizon + (HEIGHT - horizon) * (np.arange(_WAVE_LAYERS) / _WAVE_LAYERS) ** 1.6
    depth = np.clip((_ROWS[horizon:] - horizon) / (HEIGHT - horizon), 0, 1)
    width = 6 + depth * 34
    path = np.exp(-(((_COLUMNS - column) / width) ** 2))
    nearness = 58 * np.log1p(2.4 * depth)  # ripples widen towards the viewer
    for index in range(frame_count):
        seconds = index / FPS
        picture = still.copy()
        sea = picture[horizon:]
        for layer in range(_WAVE_LAYERS):
            near = (layer + 1) / _WAVE_LAYERS
            x = _COLUMNS[0] / (9 + 30 * near)
            crest = tops[layer] + swell * near * 5 * (
                np.sin(x + seconds * (1.1 + near) + phases[layer, 0])
                + 0.5 * np.sin(2.3 * x - seconds * 1.4 + phases[layer, 1])
            )
            if layer == 0:
                crest = np.full(WIDTH, horizon, dtype=np.float64)
            below = _ROWS[horizon:] - crest[None, :].astype(np.float32)
            body = low * np.float32(0.62 * (1 - near) + 0.04) + deep * np.float32(0.35 + 0.65 * near)
            foam = np.exp(-np.abs(below) / np.float32(1.0 + 1.6 * near))[..., None] * np.float32(0.28)
            cover = np.clip(below, 0, 1)[..., None]
            sea += (body + foam * (low + disc) * np.float32(0.6) - sea) * cover
        sway = 1.5 * np.sin(_COLUMNS / 7 + seconds * 2.1) + 0.8 * np.sin(_COLUMNS / 3.1 - seconds * 1.3)
        ripple = np.sin(nearness + sway * (1 - 0.6 * depth) - seconds * 5.5)
        glint = np.clip(ripple * np.float32(1.4), 0, 1) * path * (np.float32(0.85) - np.float32(0.35) * depth)
        sea += glint[..., None].astype(np.float32) * disc
        if variant % 3 == 0:
            row = horizon + 14 + 2.2 * np.sin(seconds * 1.8)
            _paint_boat(picture, (40 + variant * 7 + seconds * 4) % (WIDTH + 20), row, 26 + variant % 5 * 3)
        yield _to_frame(picture)


# ---- petri: cellular automata as coloured dots on paper -------------------------------------------------------------

_CELL = 5  # pixels across one cell before doubling
_CELL_ROWS, _CELL_COLUMNS = HEIGHT // _CELL, WIDTH // _CELL
_PETRI_PALETTES = (
    ("f6f1e4", "d7263d", "f46036", "2e294e"),
    ("e8f6f1", "0b7a75", "19c3b1", "f4a259"),
    ("fdeff4", "b5179e", "f72585", "4361ee"),
    ("eef3fb", "1d4ed8", "38bdf8", "f59e0b"),
    ("f4f9e9", "386641", "80b918", "bc4749"),
    ("fff6e0", "e85d04", "faa307", "6a040f"),
    ("f3eefc", "5a189a", "9d4edd", "06d6a0"),
    ("eafaf9", "264653", "2a9d8f", "e76f51"),
)
# (neighbours that give birth, neighbours that survive) in the usual B/S notation.
_RULES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3,), (2, 3)),  # Conway's Life
    ((3, 6), (2, 3)),  # HighLife
    ((3,), (1, 2, 3, 4, 5)),  # Maze: labyrinths
    ((3, 6, 7, 8), (3, 4, 6, 7, 8)),  # Day and Night: merging islands
)


def _neighbours(alive: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Living cells among the eight around each one, on a torus."""
    cells = alive.astype(np.int8)
    columns = cells + np.roll(cells, 1, axis=1) + np.roll(cells, -1, axis=1)
    total: NDArray[np.int8] = columns + np.roll(columns, 1, axis=0) + np.roll(columns, -1, axis=0) - cells
    return total


def _first_generation(variant: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A seeded dish: mirrored soup for symmetric growth, or scattered colonies."""
    density = (0.34, 0.30, 0.06, 0.48)[variant % 4]
    soup = rng.random((_CELL_ROWS, _CELL_COLUMNS)) < density
    if variant % 4 == 2:  # mazes grow from a few colonies; a full soup would be finished at once
        soup[:] = False
        for _ in range(5):
            row, column = rng.integers(4, _CELL_ROWS - 4), rng.integers(4, _CELL_COLUMNS - 4)
            soup[row - 3 : row + 3, column - 3 : column + 3] = rng.random((6, 6)) < 0.5
    if (variant // 4) % 2 == 0:
        soup = (
            soup | soup[:, ::-1]
            if variant % 4 == 2
            else np.where(np.arange(_CELL_COLUMNS) < _CELL_COLUMNS // 2, soup, soup[:, ::-1])
        )
    return soup


def _petri(variant: int, frame_count: int) -> Iterator[Frame]:
    rng = np.random.default_rng(2000 + variant)
    paper, young, old, ghost = (colour(code) for code in _PETRI_PALETTES[(variant + variant // 8) % 8])
    birth, survival = (np.isin(np.arange(9), counts) for counts in _RULES[variant % 4])
    alive = _first_generation(variant, rng)
    age = np.zeros(alive.shape, dtype=np.float32)
    trail = np.zeros(alive.shape, dtype=np.float32)
    shown = np.zeros(alive.shape, dtype=np.float32)
    frames_per_generation = 3
    # One dot, soft at the rim, repeated over the dish.
    offset = np.arange(_CELL) - (_CELL - 1) / 2
    reach = np.hypot(offset[:, None], offset[None, :])
    dot = np.tile(np.clip(2.75 - reach, 0, 1).astype(np.float32), (_CELL_ROWS, _CELL_COLUMNS))[..., None]
    shadow = np.float32(1.0) - np.float32(0.10) * np.clip(_RADIUS / 1.9, 0, 1)[..., None] ** 2
    for index in range(frame_count):
        if index and index % frames_per_generation == 0:
            counts = _neighbours(alive)
            following = np.where(alive, survival[counts], birth[counts])
            trail = np.where(alive & ~following, np.float32(1.0), trail * np.float32(0.72))
            age = np.where(following, age + 1, 0)
            alive = following
        shown += (alive.astype(np.float32) - shown) * np.float32(0.45)  # cells swell and shrink instead of blinking
        mix = np.clip(age / np.float32(9.0), 0, 1)[..., None]
        tone = young + (old - young) * mix
        stain = (trail * (1 - shown) * np.float32(0.35))[..., None]
        cells = paper + (ghost - paper) * stain
        cells = cells + (tone - cells) * shown[..., None]
        grid = np.repeat(np.repeat(cells, _CELL, axis=0), _CELL, axis=1)
        yield _to_frame((paper + (grid - paper) * dot) * shadow)


# ---- fractal: Julia sets that turn, breathe and change their constant -----------------------------------------------

# Constants just outside the Mandelbrot set's boundary, where Julia sets are dust and spirals without an empty inside.
_JULIA_CONSTANTS = (
    (-0.7269, 0.1889), (-0.8000, 0.1560), (-0.4000, 0.6000), (0.2850, 0.0100),
    (-0.8350, -0.2321), (-0.7018, -0.3842), (0.3550, 0.3550), (-0.5400, 0.5500),
    (-0.1940, 0.6557), (0.3750, 0.1150), (-1.2600, 0.0700), (-0.1620, 1.0400),
    (-0.7480, 0.0950), (0.2850, 0.5350), (-0.6200, 0.4400), (-0.0700, 0.6750),
    (-0.8320, 0.1870), (-0.7110, 0.2750), (0.3300, 0.4200), (-0.7454, 0.1130),
    (-0.5100, 0.5700), (0.2600, 0.0160), (-0.9600, 0.2700), (-0.1200, 0.7700),
)  # fmt: skip
_JULIA_STEPS = 30
# Colour wheels: the escape measure walks around one of them, so neighbouring hues are always in harmony.
_FRACTAL_PALETTES = (
    ("0b1026", "1f4e8c", "45c4b0", "f9f7c9", "f2a65a", "8c2f5b"),
    ("1b0b2e", "5c1a72", "d4458a", "ffb48f", "fff3c4", "4b3f9e"),
    ("04221f", "0c6e5f", "6fd08c", "f3f9a7", "e0a030", "5b2c0d"),
    ("210a12", "8c1c2f", "ee6c3a", "ffd67a", "fdf6e3", "2c5f7c"),
    ("0a1a3c", "2a3fb0", "8a5cf6", "f3a6ff", "ffe9f5", "2bb5c9"),
    ("1c1005", "70421a", "d99a3d", "fbe8b5", "a4c3a2", "2e5a57"),
    ("13072b", "3b1d8f", "2f80ed", "7df0e2", "f6ffd8", "d8468f"),
    ("190516", "7a0f4a", "f2416b", "ff9e57", "ffe98a", "3c7f8f"),
)
_WHEEL_STEPS = 512


def _colour_wheel(codes: tuple[str, ...]) -> Plane:
    """A closed gradient through the colours, shape (`_WHEEL_STEPS`, 3)."""
    stops = np.stack([colour(code) for code in (*codes, codes[0])])
    at = np.linspace(0, len(codes), _WHEEL_STEPS, endpoint=False)
    wheel = np.stack([np.interp(at, np.arange(len(stops)), stops[:, channel]) for channel in range(3)], axis=1)
    return wheel.astype(np.float32)


def julia_field(real: Plane, imaginary: Plane, *, constant: complex) -> tuple[Plane, Plane]:
    """Smooth escape measure and orbit trap of ``z -> z**2 + constant``, both of the shape of `real`.

    The measure is ``sum 1 / (1 + |z_k|**2)`` over the steps: unlike a count of steps it has no bands. The trap is the
    smallest ``|z_k|**2``. A point that has overflowed adds nothing more to either.
    """
    measure = np.zeros_like(real)
    trap = np.full_like(real, 4.0)
    top = np.float32(1e30)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(_JULIA_STEPS):
            real_squared, imaginary_squared = real * real, imaginary * imaginary
            size = np.fmin(real_squared + imaginary_squared, top)
            measure += 1 / (1 + size)
            np.fmin(trap, size, out=trap)
            imaginary = 2 * real * imaginary + np.float32(constant.imag)
            real = real_squared - imaginary_squared + np.float32(constant.real)
    return measure, trap


def _fractal(variant: int, frame_count: int) -> Iterator[Frame]:
    centre = complex(*_JULIA_CONSTANTS[variant])
    wheel = _colour_wheel(_FRACTAL_PALETTES[(variant + variant // 8) % 8])
    half = HEIGHT // 2
    x, y = _X[:half], _Y[:half]
    direction = -1 if variant % 2 else 1
    for index in range(frame_count):
        seconds = index / FPS
        turn = direction * 0.22 * seconds + variant
        zoom = 0.62 + 0.2 * np.cos(seconds * 0.8 + variant)
        cosine, sine = np.float32(zoom * np.cos(turn)), np.float32(zoom * np.sin(turn))
        constant = centre + 0.008 * complex(np.cos(seconds * 1.3), np.sin(seconds * 1.1))
        measure, trap = julia_field(x * cosine - y * sine, x * sine + y * cosine, constant=constant)
        # The logarithm widens the calm outer bands and keeps the crowded inside from turning into noise.
        # The trap draws petals where the measure alone would leave the inside flat.
        near = np.sqrt(np.clip(trap, 0, 1))
        around = np.log2(measure + np.float32(0.15)) * np.float32(0.34) + near * np.float32(1.1)
        around -= np.float32(0.07 * seconds)
        rgb = wheel[(np.mod(around, 1.0) * np.float32(_WHEEL_STEPS)).astype(np.intp) % _WHEEL_STEPS]
        rgb = rgb * (np.float32(0.7) + np.float32(0.3) * near)[..., None]
        # z and -z share their orbit, so the lower half is the upper one turned by half a circle.
        yield _to_frame(np.concatenate([rgb, rgb[::-1, ::-1]]))


_SCENES: dict[str, Scene] = {"neon": _neon, "ocean": _ocean, "petri": _petri, "fractal": _fractal}
