"""What people write, and what they should not, for the benchmark of the automatic check."""

from typing import Final

INNOCENT: Final = (
    "sunset at the harbour", "Scunthorpe United wins again", "cooking chicken breast with lemon", "my donkey eats hay",
    "how to tie a bow tie", "Dick Van Dyke sings", "black cat on the roof", "essex girls go hiking", "a mass for peace",
    "classic cars in Sussex", "shiitake mushrooms, fried", "the grape harvest has begun", "BEST DAY EVER with grandma",
    "cockatoo learns to dance", "night train to Vienna", "therapist explains burnout", "analysis of the final",
    "day 3 of 30: push ups", "follow the river, find the sea", "thanks to everybody who came, see you next year",
)  # fmt: skip
ABUSIVE: Final = (
    "you stupid fucking bitch", "kill yourself you worthless cunt", "what an ugly whore", "go die you fucking retard",
    "shut the fuck up you moron", "you are a piece of shit", "dumb ass bitch get lost", "fuck you and your family",
    "y0u fucking 1diot b1tch", "you disgusting faggot", "all of you are retarded assholes", "suck my dick you slut",
)  # fmt: skip
ADVERTISING: Final = (
    "cheap followers at a.shop b.shop c.shop", "win win win win win win win win win now",
    "meds without prescription cheap-meds.top, whatsapp +44 7700 900123", "earn 500 a day, t.me/easy at www.easy.click",
    "hot deals www.a.example www.b.example www.c.example", "call +1 202 555 0100 or visit loans.xyz today",
)  # fmt: skip
