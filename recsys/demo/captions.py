"""What is written under the demo clips: captions, tags, language and creator, one hand-written set per clip.

The category is the family's name. Every creator works mostly within one family, so following someone says something
about taste; two of them publish everything. It describes clips; it does not know when they were uploaded or how good
they are.
"""

from dataclasses import dataclass

from recsys.demo import FAMILIES, VARIANTS

CREATORS: dict[str, tuple[str, ...]] = {
    "neon": ("lumen.lab", "tubelight.tess", "afterdark.geometry", "volt.and.vector"),
    "ocean": ("saltwater.sam", "lena.am.meer", "la.marea.lenta", "harbour.hours"),
    "petri": ("cellular.ceci", "the.tiny.dish", "grid.gardener", "conways.cousin"),
    "fractal": ("julia.on.repeat", "deepzoom.dora", "escape.velocity", "infinite.ines"),
}
# They post a little of everything: the exception that keeps creator and family from being the same feature.
EVERYTHING_CREATORS: tuple[str, ...] = ("loop.of.the.day", "mira.makes.things")
_EVERYTHING_EVERY = 8

_CAPTIONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "neon": (
        ("en", "fly into the triangle and don't look back", "tunnel triangle"),
        ("en", "a square that never quite decides to be one", "breathing square"),
        ("en", "ballroom lights, but there is no ballroom", "kaleidoscope grid"),
        ("en", "three hexagons walk into a bar and start spinning", "hexagon spin"),
        ("es", "un túnel de neón para cerrar el día", "tunnel octagon"),
        ("en", "pink noise, but make it a flower", "flower pulse"),
        ("en", "the grid folds when the bass comes in", "kaleidoscope bass"),
        ("de", "Fünf Ecken, kein Anfang, kein Ende", "pentagon spin"),
        ("en", "seven sides, one very long corridor", "tunnel heptagon"),
        ("en", "watch the petals until they watch you", "flower mirror"),
        ("fr", "le plafond d'une boîte de nuit imaginaire", "kaleidoscope ceiling"),
        ("en", "squares turning the way clocks wish they could", "square spin"),
        ("en", "six sides and still accelerating", "tunnel hexagon"),
        ("pt", "flor elétrica, não precisa de água", "flower electric"),
        ("en", "spider built this one with a soldering iron", "kaleidoscope web"),
        ("en", "triangles arguing in bright green", "triangle spin"),
        ("en", "corner by corner, down the pink shaft", "tunnel pentagon"),
        ("es", "una flor de seis voltios", "flower spark"),
        ("en", "the disco ball learned trigonometry", "kaleidoscope mirrorball"),
        ("en", "an octagon with somewhere to be", "octagon spin"),
        ("de", "Viereck um Viereck ins Licht hinein", "tunnel square"),
        ("en", "this bloom runs on mains current", "flower hum"),
        ("en", "cathedral window, nightclub hours", "kaleidoscope window"),
        ("fr", "sept côtés et toujours pas fatigué", "heptagon spin"),
    ),
    "ocean": (
        ("en", "last boat home, first star out", "sailboat stars"),
        ("es", "la isla se queda con el último rayo", "island afterglow"),
        ("en", "nothing to do but listen to the water breathe", "calm golden"),
        ("en", "pink evening, white sail, no plans", "sailboat pink"),
        ("de", "Abendrot über ganz ruhiger See", "calm red"),
        ("en", "violet hour behind the headland", "island violet"),
        ("en", "sailing by moonlight is just slow flying", "moon sailboat"),
        ("pt", "o sol desce atrás da serra e o mar pega fogo", "island orange"),
        ("en", "a sun too big for its own horizon", "calm bigsun"),
        ("en", "slipping past the rocks before dark", "sailboat island"),
        ("fr", "la mer compte les étoiles une par une", "calm stars"),
        ("en", "the mountain keeps the sun for later", "island pastel"),
        ("en", "one boat, one sun, about a thousand ripples", "sailboat ripples"),
        ("es", "atardecer dorado con la costa dormida", "island golden"),
        ("en", "full moon, flat water, slow heartbeat", "moon calm"),
        ("en", "stars came early, the boat stayed late", "sailboat stars"),
        ("en", "flat sea, loud sky, quiet me", "calm colours"),
        ("en", "the coast goes dark one hill at a time", "island dusk"),
        ("pt", "uma vela pequena, um céu enorme", "sailboat sky"),
        ("en", "low cliffs, long light, no phone", "island longlight"),
        ("de", "Erste Sterne über stillem Wasser", "calm firststars"),
        ("en", "round the cape with the wind behind", "sailboat island"),
        ("es", "la luna se mira en el agua", "moon mirror"),
        ("en", "the bay keeps its own time", "island bay"),
    ),
    "petri": (
        ("en", "red colony update: they found symmetry", "life mirror"),
        ("en", "two rules in and the dish already has a face", "highlife mirror"),
        ("en", "it grew a maze overnight, send help or cheese", "maze growth"),
        ("de", "Tag und Nacht streiten sich um jedes Feld", "daynight mirror"),
        ("en", "nobody told these green cells about overcrowding", "life wild"),
        ("en", "orange replicators doing what replicators do", "highlife wild"),
        ("fr", "trois labyrinthes violets cherchent un voisin", "maze colonies"),
        ("en", "teal islands merging, one cell at a time", "daynight islands"),
        ("en", "teal lace that knits and unpicks itself", "life lace"),
        ("es", "bordado vivo: nace con tres, sobrevive con dos", "highlife lace"),
        ("en", "blue labyrinth opens both its wings", "maze mirror"),
        ("en", "moss, but every leaf is a yes or a no", "daynight moss"),
        ("en", "petri dish jazz, nobody reads the sheet", "life jazz"),
        ("pt", "células roxas em hora de ponta", "highlife rush"),
        ("en", "two little mazes growing toward each other", "maze romance"),
        ("en", "zoomed into a tomato? no, just simple rules", "daynight texture"),
        ("en", "left side copies the right side's homework", "life twins"),
        ("en", "a mask grew where I spilled the sugar", "highlife mask"),
        ("de", "Ein Irrgarten mit zwei gleichen Ausgängen", "maze twins"),
        ("en", "ink blot test, but the ink votes", "daynight blot"),
        ("en", "the survivors regroup in the corner", "life survivors"),
        ("es", "se copian, se chocan, se olvidan", "highlife echo"),
        ("en", "one colony, many corridors", "maze corridors"),
        ("fr", "la moitié du plat a changé d'avis", "daynight flip"),
    ),
    "fractal": (
        ("en", "every bay on this coast has its own coast", "julia coast"),
        ("en", "the dragon turns over in its sleep", "julia dragon"),
        ("fr", "une fougère qui contient toutes les fougères", "julia fern"),
        ("en", "lanterns inside lanterns inside lanterns", "julia lanterns"),
        ("en", "violet smoke that remembers its shape", "julia smoke"),
        ("de", "Goldene Blüten, bis das Auge aufgibt", "julia blossoms"),
        ("en", "pink suns over a blue archipelago", "julia islands"),
        ("en", "one formula, squared, forever", "julia formula"),
        ("es", "espirales rosas para pensar despacio", "julia spirals"),
        ("en", "green galaxies, no telescope required", "julia galaxies"),
        ("en", "a spine of fire with too many vertebrae", "julia fire"),
        ("en", "lightning that took its time", "julia lightning"),
        ("pt", "areia, sal e repetição infinita", "julia sand"),
        ("en", "stained glass for a cathedral of one equation", "julia glass"),
        ("en", "crimson feathers all the way down", "julia feathers"),
        ("en", "the shoreline wobbled and I followed it", "julia shoreline"),
        ("en", "ice crystals doing long division", "julia frost"),
        ("pt", "uma galáxia dentro de cada vírgula", "julia commas"),
        ("en", "coral that never met a sea", "julia coral"),
        ("en", "seahorses all the way to the edge", "julia seahorses"),
        ("fr", "dentelle taillée dans la lumière", "julia lace"),
        ("en", "roots looking for a smaller tree", "julia roots"),
        ("de", "Rauchringe nach strenger Regel", "julia rings"),
        ("en", "a storm seen from very far inside", "julia storm"),
    ),
}
_FAMILY_TAGS: dict[str, tuple[str, ...]] = {
    "neon": ("neon", "geometry", "synthwave", "glow"),
    "ocean": ("ocean", "sunset", "waves", "slowtv"),
    "petri": ("petri", "cellularautomata", "pixels", "emergence"),
    "fractal": ("fractal", "mathart", "zoom", "psychedelic"),
}


@dataclass(frozen=True, slots=True)
class Description:
    """Everything a person could read about one clip."""

    caption: str
    tags: tuple[str, ...]
    category: str
    creator_id: str
    language: str


def describe(family: str, variant: int) -> Description:
    """The text of one clip.

    >>> describe("ocean", 0).tags
    ('ocean', 'sunset', 'sailboat', 'stars')

    Raises ``ValueError`` when there is no such clip.
    """
    if family not in _CAPTIONS or not 0 <= variant < VARIANTS:
        raise ValueError(
            f"no demo clip {family!r} {variant}; families are {', '.join(FAMILIES)}, variants 0..{VARIANTS - 1}"
        )
    language, caption, own_tags = _CAPTIONS[family][variant]
    general = _FAMILY_TAGS[family]
    # The family's first tag always, the others in turn: tags overlap without being the same on every clip.
    tags = (general[0], general[1 + variant % 3], *own_tags.split())
    return Description(caption, tags, family, _creator(family, variant), language)


def _creator(family: str, variant: int) -> str:
    if variant % _EVERYTHING_EVERY == _EVERYTHING_EVERY - 1:
        return EVERYTHING_CREATORS[variant // _EVERYTHING_EVERY % len(EVERYTHING_CREATORS)]
    return CREATORS[family][(variant * 3 + variant // 4) % len(CREATORS[family])]
