"""Nothing that sells is carried along by a servicing message: words and links that promote are found, and ours have none."""

import pytest

from handlers.channels.library import package_names, package_source, to_staff
from handlers.channels.manners import unmannerly
from handlers.channels.phrases import ENGLISH, PHRASES
from handlers.channels.promotion import promotional

PLANTED = {
    "en": (
        "Pay this week and get 10 % off.",
        "Ask about our new services.",
        "Time to upgrade your plan?",
        "Our new prices are out.",
        "See https://firm.example/pricing",
    ),
    "de": (
        "Wir gewähren Rabatt.",
        "Lernen Sie unsere neue Dienstleistung kennen.",
        "Unsere Preisliste liegt bei.",
        "Jetzt buchen!",
    ),
    "fr": (
        "Profitez d'une remise.",
        "Découvrez nos nouveaux services.",
        "Essai gratuit pendant un mois.",
        "https://a.example/offres",
    ),
    "es": (
        "Le ofrecemos un descuento.",
        "Conozca nuestros nuevos servicios.",
        "Nuestros mejores precios.",
        "www.a.example/promo",
    ),
}
SERVICING = {
    "en": (
        "The amount stays open; a plan in three parts is possible.",
        "Pay at https://pay.firm.example/i/17 or reply.",
        "the court",
    ),
    "de": ("Der Preis der Leistung steht auf der Rechnung.", "Ein Ratenplan ist möglich: https://zahlen.firma.example"),
    "fr": ("Le prix indiqué sur la facture reste dû; un échéancier est possible.",),
    "es": ("El precio de la factura sigue pendiente; es posible un plan de pagos.",),
}


@pytest.mark.parametrize(("language", "text"), [(name, text) for name, texts in PLANTED.items() for text in texts])
def test_an_offer_to_buy_is_found_with_its_line_and_its_words(language: str, text: str) -> None:
    ((line, words),) = promotional(f"Good morning\n{text}\nKind regards", language)
    assert line == 2
    assert words in text
    assert any("must not promote" in message for _, message, _ in unmannerly(text, language, servicing=True))
    assert not any("must not promote" in message for _, message, _ in unmannerly(text, language, servicing=False))


@pytest.mark.parametrize(("language", "text"), [(name, text) for name, texts in SERVICING.items() for text in texts])
def test_talk_about_amounts_plans_and_ways_to_pay_is_no_offer(language: str, text: str) -> None:
    assert list(promotional(text, language)) == []


def test_none_of_our_messages_promotes_anything_in_any_language() -> None:
    held = 0
    for name in sorted(package_names()):
        first = name.partition("/")[0]
        language = first if first in PHRASES else ENGLISH
        source = package_source(name)
        if not to_staff(source):
            assert list(promotional(source, language)) == [], name
            held += 1
    assert held > 4 * 20
