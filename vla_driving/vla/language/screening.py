"""What is answered before anything is understood: texts that are no sound English."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from vla_driving.contract.language import AnswerStatus
from vla_driving.contract.navigation import MAX_INSTRUCTION_LENGTH
from vla_driving.vla.language.concepts import words_of

_SCRIPTS = {
    "CYRILLIC": "Cyrillic", "CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese",
    "HANGUL": "Korean", "ARABIC": "Arabic", "HEBREW": "Hebrew", "GREEK": "Greek",
    "DEVANAGARI": "Hindi", "THAI": "Thai",
}
# Words that are frequent in the language and not English; two of them, or one in three words, tell.
_LANGUAGES = {
    "German": "bitte fahr fahre fahren langsamer schneller links rechts geradeaus der die das und "
    "nicht ist auf zur zum den dem ein eine hier jetzt kannst könntest du mir sie wir biege halte "
    "abbiegen spur wechsle warum anhalten nächste kreuzung",
    "French": "le la les un une des et est pas plus vite moins s'il vous plaît tournez tourne à "
    "gauche droite prochain prochaine arrête arrêtez ici tout droit ralentis ralentissez accélère "
    "carrefour pourquoi tu peux voie roule",
    "Spanish": "el los una por favor más despacio rápido gira gire izquierda derecha aquí para "
    "conduce sigue recto siguiente cruce carril porque qué puedes",
    "Italian": "il lo gli per favore più piano veloce gira sinistra destra dritto qui prossimo "
    "incrocio fermati vai corsia puoi perché al",
    "Dutch": "het een en niet rij langzamer sneller linksaf rechtsaf rechtdoor alsjeblieft "
    "alstublieft kun je bij volgende kruising stoppen sla ga naar",
    "Portuguese": "o os uma por favor mais devagar rápido vire esquerda direita aqui pare próximo "
    "cruzamento você faixa não",
    "Polish": "proszę jedź jechać wolniej szybciej skręć lewo prawo zatrzymaj się tutaj prosto na",
    "Swedish": "kör köra långsammare fortare sväng vänster höger stanna här snälla kan du lite jag",
    "Turkish": "daha yavaş hızlı sür lütfen sağa sola dön dur burada",
    "Czech": "zpomal zrychli odboč doleva doprava zastav tady prosím rovně",
    "Finnish": "aja hitaammin nopeammin käänny vasemmalle oikealle pysähdy tähän kiitos",
    "Norwegian": "kjør saktere raskere sving til venstre høyre stopp er snill",
    "Romanian": "mergi mai încet repede opreşte aici stânga dreapta ia-o la",
}
_COMMON = """the a to at on in is it and or please i you we go drive stop turn left right lane me my
your this that of for not don't what why how if car speed slow fast can could here now no die an en
do so was as be by he she"""
_ENGLISH = frozenset(_COMMON.split())


@dataclass(frozen=True)
class Rejection:
    """Why a text is not looked at further."""

    status: AnswerStatus
    reason: str


def screen(text: str) -> Rejection | None:
    """The rejection of a text that is over-long, unprintable or foreign; None where it is sound."""
    if len(text) > MAX_INSTRUCTION_LENGTH:
        return Rejection(
            AnswerStatus.REFUSED,
            f"{len(text)} characters, at most {MAX_INSTRUCTION_LENGTH} are listened to",
        )
    if bad := next((c for c in text if _is_control(c)), None):
        return Rejection(
            AnswerStatus.REFUSED, f"control character U+{ord(bad):04X} in the text"
        )
    if script := _script(text):
        return Rejection(
            AnswerStatus.IGNORED, f"written in {script} letters; only English is understood"
        )
    if language := _language(text):
        return Rejection(
            AnswerStatus.IGNORED, f"seems to be {language}; only English is understood"
        )
    return None


def _is_control(character: str) -> bool:
    """Control, format and lone surrogate characters; blanks of any kind are none."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co") and character not in "\t\n\r"


def _script(text: str) -> str | None:
    """Name of the script where most letters are not Latin."""
    letters = [c for c in text if c.isalpha()]
    names = [unicodedata.name(c, "").split(" ")[0].split("-")[0] for c in letters]
    foreign = [name for name in names if name not in ("LATIN", "FEMININE", "MASCULINE")]
    if not foreign or 2 * len(foreign) < len(letters):
        return None
    common = max(sorted(set(foreign)), key=foreign.count)
    return _SCRIPTS.get(common, common.capitalize() or "unknown")


def _language(text: str) -> str | None:
    words = text.lower().replace(",", " ").replace(".", " ").replace("?", " ").split()
    english = sum(word in _ENGLISH for word in words_of(text))
    best, most = None, 0
    for language, listed in _LANGUAGES.items():
        own = set(listed.split()) - _ENGLISH
        hits = sum(word in own for word in words)
        if hits > most:
            best, most = language, hits
    if most > english and (most >= 2 or 3 * most >= len(words)):
        return best
    return None
