"""When Indonesian shops are busy: weeks, paydays, double dates, Ramadan and Lebaran of 2026."""

from datetime import date, timedelta

RAMADAN = (date(2026, 2, 18), date(2026, 3, 19))
LEBARAN = (date(2026, 3, 20), date(2026, 3, 25))
HOLIDAYS = {date(2026, 1, 1), date(2026, 1, 16), date(2026, 2, 17), date(2026, 3, 19), date(2026, 4, 3), date(2026, 5, 1)}

# Share of an ordinary day's work in each local hour, by what the tenant does.
HOURS = {
    "office": [0, 0, 0, 0, 0, 0, 1, 3, 8, 11, 11, 10, 6, 9, 11, 10, 8, 4, 2, 1, 1, 0, 0, 0],
    "shop": [1, 0, 0, 0, 0, 1, 1, 2, 4, 7, 9, 9, 8, 8, 8, 7, 7, 6, 7, 9, 9, 7, 4, 2],
    "food": [0, 0, 0, 0, 0, 1, 2, 3, 3, 5, 9, 13, 11, 6, 4, 4, 6, 10, 12, 9, 5, 2, 1, 0],
    "clinic": [0, 0, 0, 0, 0, 1, 3, 8, 12, 12, 10, 6, 4, 7, 8, 7, 8, 7, 4, 2, 1, 0, 0, 0],
    "online": [2, 1, 0.4, 0.3, 0.4, 1, 2, 3, 5, 6, 7, 7, 6, 6, 6, 6, 6, 6, 7, 8, 8, 7, 5, 3],
}
WEEKEND = {"office": 0.12, "shop": 1.15, "food": 1.35, "clinic": 0.45, "online": 0.95}


def hour_shares(trade, day):
    """Shares of the 24 hours, sum 1. In Ramadan people eat before dawn and shop after sunset."""
    shares = list(HOURS[trade])
    if RAMADAN[0] <= day <= RAMADAN[1] and trade != "office":
        for hour in (3, 4):
            shares[hour] += 2.5
        for hour in (11, 12, 13):
            shares[hour] *= 0.55
        for hour in (19, 20, 21, 22):
            shares[hour] *= 1.4
    total = sum(shares)
    return [share / total for share in shares]


def day_factor(trade, day):
    """How busy the day is beside an ordinary weekday."""
    factor = WEEKEND[trade] if day.weekday() >= 5 else 1.0
    if trade in ("shop", "online", "food"):
        if day.day >= 25 or day.day <= 2:
            factor *= 1.25
        if day.day == day.month:
            factor *= 1.9
        if RAMADAN[1] - timedelta(days=10) <= day <= RAMADAN[1]:
            factor *= 1.4
    if day in HOLIDAYS:
        factor *= 0.4 if trade in ("office", "clinic") else 0.9
    if LEBARAN[0] <= day <= LEBARAN[1]:
        factor *= 0.2
    return factor


def campaign_appetite(trade, day):
    """How much more likely than on an ordinary day a campaign is."""
    appetite = 0.3 if day.weekday() >= 5 else 1.0
    if day.day == day.month or day.day in (25, 28):
        appetite *= 4
    if RAMADAN[0] - timedelta(days=2) <= day <= RAMADAN[1]:
        appetite *= 1.6
    return 0.0 if LEBARAN[0] <= day <= LEBARAN[1] else appetite
