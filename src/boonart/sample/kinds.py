"""What can stand in a scene: names, drawings, sizes and abilities of each kind of thing."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

COLOURS = MappingProxyType(
    {
        "red": (196, 40, 36),
        "blue": (44, 88, 178),
        "yellow": (240, 196, 44),
        "green": (62, 138, 66),
        "white": (244, 241, 232),
        "black": (46, 44, 48),
        "brown": (128, 80, 44),
        "orange": (232, 126, 36),
        "purple": (122, 66, 150),
        "pink": (236, 142, 166),
        "grey": (142, 142, 144),
    }
)
"""Colour names and their sRGB values."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing.

    Attributes:
        looks: drawings, as paths under `artwork/` without suffix.
        height: visual height as a share of the picture's height when it stands in the middle ground.
        tags: what it is and can do: see the constants below.
        colours: names of colours that it may be painted in.
        is_a: more general words that it also answers to.
    """

    name: str
    looks: tuple[str, ...]
    height: float
    tags: frozenset[str]
    colours: tuple[str, ...] = ()
    plural: str = ""
    is_a: tuple[str, ...] = ()

    @property
    def plural_name(self) -> str:
        """The name for two or more."""
        return self.plural or f"{self.name}s"

    def can(self, tag: str) -> bool:
        """Whether the kind carries this tag."""
        return tag in self.tags


# Tags. GROUND things stand anywhere on the ground; INDOOR things belong in a room or on a table; TABLE things
# are small enough for a still life; FLIES, SWIMS say where else a thing can be; MOUNT can be ridden, SEAT and
# SUPPORT can carry something, SHELTER can stand over something, HOLDS (a vessel) can have something in it,
# HANDY can be held, BULKY things hide what is behind them.
_ANIMAL_COLOURS = ("brown", "white", "black", "red", "blue", "yellow", "green", "orange", "purple", "pink")
_OBJECT_COLOURS = ("red", "blue", "yellow", "green", "white", "black", "orange", "purple", "pink", "brown")
_FLOWER_COLOURS = ("red", "yellow", "white", "blue", "purple", "orange", "pink")


def _kind(
    name: str,
    looks: str,
    height: float,
    tags: str,
    colours: tuple[str, ...] = (),
    plural: str = "",
    is_a: str = "",
) -> Kind:
    shelves = {"n": "noto", "f": "fluent", "o": "own"}
    paths = tuple(f"{shelves[look[0]]}/{look[2:]}" for look in looks.split())
    return Kind(name, paths, height, frozenset(tags.split()), colours, plural, tuple(is_a.split()))


_A, _O, _F = _ANIMAL_COLOURS, _OBJECT_COLOURS, _FLOWER_COLOURS
_MAN = "n:man-standing-medium-light-skin-tone n:man-standing-light-skin-tone n:man-standing-medium-dark-skin-tone"
_WOMAN = (
    "n:woman-standing-light-skin-tone n:woman-standing-medium-light-skin-tone n:woman-standing-medium-dark-skin-tone"
)
_ALL = (
    # people
    _kind("man", _MAN, 0.50, "person ground rider holder outdoor indoor", _O, "men", "person"),
    _kind("woman", _WOMAN, 0.49, "person ground rider holder outdoor indoor", _O, "women", "person"),
    _kind("boy", _MAN, 0.37, "person ground rider holder outdoor indoor child", _O, "", "person child"),
    _kind("girl", _WOMAN, 0.37, "person ground rider holder outdoor indoor child", _O, "", "person child"),
    # animals
    _kind("cow", "n:cow f:cow", 0.34, "animal ground bulky mount outdoor", _A),
    _kind("horse", "f:horse n:horse", 0.40, "animal ground bulky mount outdoor", _A),
    _kind("sheep", "f:ewe n:ewe", 0.28, "animal ground bulky outdoor", _A, "sheep"),
    _kind("dog", "f:dog f:poodle", 0.27, "animal ground pet small outdoor indoor", _A),
    _kind("cat", "n:cat f:cat", 0.25, "animal ground pet small outdoor indoor", _A),
    _kind("pig", "n:pig f:pig", 0.27, "animal ground bulky outdoor", _A),
    _kind("goat", "f:goat n:goat", 0.30, "animal ground bulky outdoor", _A),
    _kind("donkey", "f:donkey", 0.34, "animal ground bulky mount outdoor", _A),
    _kind("rabbit", "n:rabbit", 0.23, "animal ground pet small outdoor indoor", _A),
    _kind("elephant", "n:elephant f:elephant", 0.46, "animal ground bulky mount outdoor", _A),
    _kind("camel", "f:camel n:camel", 0.44, "animal ground bulky mount outdoor", _A),
    _kind("deer", "f:deer n:deer", 0.38, "animal ground outdoor", _A, "deer"),
    _kind("monkey", "n:monkey f:monkey", 0.27, "animal ground small outdoor", _A),
    _kind("tiger", "f:tiger n:tiger", 0.31, "animal ground bulky outdoor"),
    _kind("zebra", "n:zebra f:zebra", 0.36, "animal ground bulky mount outdoor"),
    _kind("llama", "n:llama f:llama", 0.38, "animal ground bulky mount outdoor", _A),
    _kind("kangaroo", "n:kangaroo", 0.36, "animal ground outdoor", _A),
    _kind("gorilla", "f:gorilla", 0.36, "animal ground bulky outdoor", _A),
    _kind("hedgehog", "n:hedgehog f:hedgehog", 0.22, "animal ground small outdoor"),
    _kind("turtle", "n:turtle", 0.22, "animal ground small outdoor"),
    _kind("penguin", "n:penguin", 0.29, "animal ground small outdoor"),
    _kind("rooster", "n:rooster f:rooster", 0.26, "animal ground small outdoor", (), "", "bird"),
    _kind("goose", "n:goose f:goose", 0.27, "animal ground small outdoor water", _A, "geese", "bird"),
    _kind("duck", "n:duck f:duck", 0.23, "animal ground small outdoor water", _A, "", "bird"),
    _kind("swan", "n:swan", 0.25, "animal small outdoor water", ("white", "black"), "", "bird"),
    _kind("bird", "n:bird f:bird", 0.22, "animal ground small pet outdoor indoor flies handy", _A),
    _kind("parrot", "n:parrot f:parrot", 0.25, "animal ground small pet indoor outdoor", (), "", "bird"),
    _kind("owl", "n:owl", 0.24, "animal ground small outdoor indoor", (), "", "bird"),
    _kind("peacock", "n:peacock", 0.30, "animal ground small outdoor", (), "", "bird"),
    _kind("eagle", "f:eagle", 0.27, "animal flies outdoor flyer", (), "", "bird"),
    _kind("butterfly", "n:butterfly f:butterfly", 0.20, "animal flies small outdoor flyer", _F, "butterflies"),
    # vehicles
    _kind("car", "n:automobile f:automobile", 0.27, "vehicle ground bulky outdoor support", _O),
    _kind("bus", "n:bus f:bus", 0.33, "vehicle ground bulky outdoor support", _O, "buses"),
    _kind("truck", "n:delivery-truck f:delivery-truck", 0.33, "vehicle ground bulky outdoor", _O),
    _kind("train", "n:locomotive f:locomotive n:railway-car", 0.36, "vehicle ground bulky outdoor"),
    _kind("tractor", "n:tractor f:tractor", 0.33, "vehicle ground bulky outdoor", _O),
    _kind("bicycle", "n:bicycle f:bicycle", 0.30, "vehicle ground outdoor mount machine", _O),
    _kind("motorcycle", "f:motorcycle", 0.29, "vehicle ground outdoor mount machine", _O),
    _kind("boat", "n:sailboat n:canoe", 0.38, "vehicle water bulky outdoor vessel_on_water", _O),
    _kind("ship", "n:ship", 0.40, "vehicle water bulky outdoor vessel_on_water", _O, "", "boat"),
    _kind("airplane", "n:small-airplane f:small-airplane n:airplane", 0.29, "vehicle flies flyer outdoor", _O),
    _kind("helicopter", "n:helicopter f:helicopter", 0.28, "vehicle flies flyer outdoor", _O),
    _kind("balloon", "n:balloon", 0.26, "flies handy outdoor flyer", _O),
    _kind("kite", "n:kite", 0.25, "flies handy outdoor flyer"),
    # plants
    _kind("tree", "n:deciduous-tree f:deciduous-tree n:evergreen-tree", 0.54, "plant ground bulky outdoor shelter"),
    _kind("palm tree", "n:palm-tree", 0.54, "plant ground outdoor shelter"),
    _kind("flower", "n:blossom n:hibiscus f:blossom", 0.25, "plant ground table small indoor handy", _F),
    _kind("rose", "n:rose f:rose", 0.28, "plant ground table small indoor handy", _F, "", "flower"),
    _kind("tulip", "n:tulip f:tulip", 0.28, "plant ground table small indoor handy", _F, "", "flower"),
    _kind("sunflower", "n:sunflower", 0.30, "plant ground table small indoor handy", (), "", "flower"),
    _kind("potted plant", "n:potted-plant", 0.30, "plant ground table small indoor"),
    _kind("cactus", "n:cactus", 0.32, "plant ground outdoor", (), "cacti"),
    _kind("mushroom", "n:mushroom f:mushroom", 0.22, "plant ground table small outdoor", _O),
    # furniture and things
    _kind("table", "o:table", 0.27, "furniture ground indoor support shelter", _O),
    _kind("chair", "n:chair f:chair", 0.36, "furniture ground indoor support seat shelter", _O),
    _kind("bench", "o:bench", 0.25, "furniture ground outdoor indoor support shelter", _O, "benches"),
    _kind("bed", "f:bed n:bed", 0.28, "furniture ground indoor support"),
    _kind("clock", "n:mantelpiece-clock", 0.22, "object table small indoor ground"),
    _kind("candle", "n:candle f:candle", 0.23, "object table small indoor", _O),
    _kind("basket", "n:basket f:basket", 0.25, "object table small indoor ground holds handy", _O),
    _kind("bucket", "n:bucket f:bucket", 0.24, "object table small ground holds outdoor handy", _O),
    _kind("box", "o:box", 0.24, "object small ground table indoor outdoor holds support", _O, "boxes"),
    _kind("bowl", "o:bowl", 0.17, "object table small indoor holds", _O),
    _kind("vase", "n:amphora f:amphora o:vase", 0.30, "object table small indoor holds", _O),
    _kind("teapot", "n:teapot f:teapot", 0.21, "object table small indoor", _O),
    _kind("cup", "n:hot-beverage", 0.19, "object table small indoor handy", _O),
    _kind("glass", "n:wine-glass", 0.24, "object table small indoor handy", (), "glasses"),
    _kind("bottle", "o:bottle", 0.30, "object table small indoor handy", _O),
    _kind("book", "n:closed-book f:closed-book", 0.22, "object table small indoor handy support", _O),
    _kind("violin", "n:violin f:violin", 0.27, "object table small indoor handy", _O),
    _kind("guitar", "n:guitar", 0.30, "object table small indoor handy", _O),
    _kind("trumpet", "n:trumpet", 0.22, "object table small indoor handy"),
    _kind("hat", "n:top-hat", 0.21, "object table small indoor handy", _O),
    _kind("crown", "n:crown", 0.20, "object table small indoor handy"),
    _kind("umbrella", "n:umbrella f:umbrella", 0.32, "object small indoor outdoor handy shelter ground", _O),
    _kind("ball", "n:soccer-ball", 0.19, "object small ground table indoor outdoor handy", _O),
    _kind("teddy bear", "n:teddy-bear f:teddy-bear", 0.24, "object small ground table indoor handy", _A),
    # fruit
    _kind("apple", "n:red-apple f:red-apple", 0.18, "fruit table small handy", ("red", "green", "yellow"), "", "fruit"),
    _kind("pear", "n:pear f:pear", 0.20, "fruit table small handy", ("yellow", "red", "green"), "", "fruit"),
    _kind("lemon", "n:lemon f:lemon", 0.17, "fruit table small handy", (), "", "fruit"),
    _kind("orange", "n:tangerine f:tangerine", 0.17, "fruit table small handy", (), "", "fruit"),
    _kind("banana", "n:banana f:banana", 0.20, "fruit table small handy", (), "", "fruit"),
    _kind("peach", "n:peach", 0.18, "fruit table small handy", (), "peaches", "fruit"),
    _kind("strawberry", "n:strawberry", 0.18, "fruit table small handy", (), "strawberries", "fruit"),
    _kind("fruit", "n:red-apple n:pear n:tangerine n:lemon n:peach", 0.18, "fruit table small mixed", (), "fruits"),
    _kind("pineapple", "n:pineapple", 0.27, "fruit table small", (), "", "fruit"),
    _kind("watermelon", "n:watermelon", 0.21, "fruit table small", (), "", "fruit"),
    # buildings
    _kind("house", "n:house f:house", 0.50, "building ground bulky outdoor support", _O),
    _kind("church", "n:church f:church", 0.58, "building ground bulky outdoor", (), "churches"),
    _kind("castle", "n:castle f:castle", 0.56, "building ground bulky outdoor"),
    _kind("hut", "n:hut", 0.42, "building ground bulky outdoor"),
    _kind("tent", "n:tent", 0.36, "building ground bulky outdoor", _O),
    _kind("windmill", "o:windmill", 0.58, "building ground bulky outdoor", _O),
    _kind("tower", "o:tower", 0.58, "building ground bulky outdoor", _O),
    _kind("ruin", "o:ruin", 0.48, "building ground bulky outdoor"),
    _kind("fountain", "n:fountain f:fountain", 0.38, "building ground bulky outdoor"),
)

KINDS = MappingProxyType({kind.name: kind for kind in _ALL})
"""All kinds by name."""


def kinds_with(*tags: str, without: tuple[str, ...] = ()) -> tuple[Kind, ...]:
    """The kinds that carry all of `tags` and none of `without`, in the order of the table."""
    return tuple(kind for kind in _ALL if all(map(kind.can, tags)) and not any(map(kind.can, without)))
