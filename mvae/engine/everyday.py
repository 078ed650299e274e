"""Everyday words for what Unicode calls otherwise, or has several kinds of: what is meant by them when nothing more is said."""

EVERYDAY = {
    "car": "automobile", "cake": "birthday cake", "tree": "deciduous tree", "flower": "hibiscus",
    "orange": "tangerine", "heart": "red heart", "love": "red heart", "apple": "red apple", "smiley": "grinning face",
    "happy face": "grinning face", "sad face": "crying face", "football": "soccer ball", "plane": "airplane",
    "ship": "passenger ship", "boat": "sailboat", "train": "locomotive", "bike": "bicycle", "phone": "mobile phone",
    "computer": "laptop", "tv": "television", "clock": "alarm clock", "book": "closed book", "coffee": "hot beverage",
    "tea": "teacup without handle", "beer": "beer mug", "wine": "wine glass", "fries": "french fries",
    "burger": "hamburger", "chicken leg": "poultry leg", "corn": "ear of corn", "chili": "hot pepper",
    "bee": "honeybee", "ladybug": "lady beetle", "poop": "pile of poo", "money": "money bag", "moon": "full moon",
    "rain": "cloud with rain", "snow": "snowflake", "fire truck": "fire engine", "truck": "delivery truck",
    "plant": "potted plant", "hat": "top hat", "shoe": "running shoe", "shirt": "t-shirt", "gift": "wrapped gift",
    "present": "wrapped gift", "king": "crown", "monster": "alien monster", "spaceship": "rocket",
    "ufo": "flying saucer", "dinosaur": "t-rex", "letter": "envelope", "hand": "raised hand", "ok": "ok hand",
    "ball": "soccer ball", "sweet": "candy", "sweets": "candy",
}
"""Word or phrase → label. A label that no caption has is passed over."""
