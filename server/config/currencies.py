"""Currencies: how many decimals each has (ISO 4217), and the bet limits that a server has without a configuration.

The default limits are of roughly comparable value everywhere. They are made from one number for each currency: about
what a US dollar is worth, rounded to 1, 2 or 5 with zeros behind it. It sizes limits and converts no money.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from actors.rules.limits import BetLimits

_TWO_DECIMALS: Final = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP "
    "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES "
    "KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK "
    "NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG"
)
_NO_DECIMALS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS: Final = "BHD IQD JOD KWD LYD OMR TND"

CURRENCY_EXPONENTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        code: exponent
        for exponent, codes in ((0, _NO_DECIMALS), (2, _TWO_DECIMALS), (3, _THREE_DECIMALS))
        for code in codes.split()
    }
)
"""The currencies that a server can be configured with: code to number of decimals of its minor unit."""

_DOLLAR_WORTH_MINOR: Final = (
    "AED:500 ARS:100_000 AUD:200 BHD:500 BRL:500 CAD:100 CHF:100 CLP:1_000 CNY:500 COP:500_000 CZK:2_000 DKK:500 "
    "EUR:100 GBP:100 GEL:200 HKD:1_000 HUF:50_000 IDR:2_000_000 INR:10_000 ISK:100 JPY:100 KES:10_000 KRW:1_000 "
    "KWD:200 KZT:50_000 MXN:2_000 NGN:200_000 NOK:1_000 NZD:200 PEN:500 PHP:5_000 PLN:500 RON:500 SEK:1_000 SGD:100 "
    "THB:5_000 TND:2_000 TRY:5_000 UAH:5_000 USD:100 VND:20_000 XOF:500 ZAR:2_000"
)


def format_minor(amount_minor: int, currency: str) -> str:
    """An amount for people: ``12.50 USD``, ``1250 JPY``, ``1.250 KWD``; with an unknown currency, in minor units."""
    exponent = CURRENCY_EXPONENTS.get(currency)
    if exponent is None:
        return f"{amount_minor} minor {currency}"
    whole, rest = divmod(abs(amount_minor), 10**exponent)
    sign = "-" if amount_minor < 0 else ""
    decimals = f".{rest:0{exponent}}" if exponent else ""
    return f"{sign}{whole}{decimals} {currency}"


def _limits(dollar_minor: int) -> BetLimits:
    return BetLimits(
        min_bet_minor=dollar_minor // 10,
        max_bet_minor=dollar_minor * 1_000,
        bet_step_minor=dollar_minor // 10,
        max_payout_minor=dollar_minor * 100_000,
    )


DEFAULT_BET_LIMITS: Final[Mapping[str, BetLimits]] = MappingProxyType(
    {code: _limits(int(worth)) for code, worth in (pair.split(":") for pair in _DOLLAR_WORTH_MINOR.split())}
)
"""Per currency: stakes from 10 cents' to 1,000 dollars' worth in steps of 10 cents' worth, payouts up to 100,000."""
