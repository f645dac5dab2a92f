"""A tenant: its size, people, programs, sites and templates, and what happens to it in the stream."""

import math
import random
from datetime import timedelta

import words
from people import FIXED_LINES, HOSTS_AT_HOME, Customers, Person, address

# Median messages a day, spread (sigma of the log), broadcasts a week, usual size of a broadcast, users.
PLANS = {
    "free": (7, 0.9, 0.08, 25, (1, 2)),
    "starter": (40, 0.9, 0.45, 90, (2, 5)),
    "business": (170, 0.9, 1.4, 600, (4, 14)),
    "enterprise": (900, 0.6, 4.0, 2500, (10, 35)),
}
SHARES = {"free": 42, "starter": 35, "business": 19, "enterprise": 4}
RATE_MAX = 3_000
TRADES = {"office": 20, "shop": 34, "food": 14, "clinic": 12, "online": 20}


def lognormal(rng, median, sigma):
    return median * math.exp(rng.gauss(0, sigma))


def own_site(rng, app):
    name = app.replace("-", "")
    return rng.choice([name, app]) + "." + rng.choice(["com", "co.id", "id", "com", "store", "my.id", "shop"])


class Template:
    def __init__(self, name, category, body, site=None):
        self.name, self.category, self.body, self.site = name, category, body, site


class Tenant:
    """Everything is drawn from the tenant's own random generator: another tenant changes nothing here."""

    def __init__(self, seed, index, first_day, days, reports_deliveries=False):
        self.reports_deliveries = reports_deliveries
        rng = self.rng = random.Random(f"{seed}/tenant/{index}")
        self.app = f"{rng.choice(words.TRADES)}-{rng.choice(words.QUALITIES)}-{index}"
        self.shop = self.app.rsplit("-", 1)[0].replace("-", " ").title()
        self.plan = rng.choices(list(SHARES), weights=list(SHARES.values()))[0]
        self.trade = rng.choices(list(TRADES), weights=list(TRADES.values()))[0]
        median, sigma, broadcasts, size, users = PLANS[self.plan]
        self.rate = min(lognormal(rng, median, sigma), RATE_MAX)
        self.broadcasts_a_day = lognormal(rng, broadcasts / 7, 0.7)
        self.usual_size = max(5, int(lognormal(rng, size, 0.7)))
        self.share_new = min(0.8, lognormal(rng, 0.28, 0.5))
        self.share_linked = min(0.4, lognormal(rng, 0.05, 0.8))
        self.products = rng.sample(words.PRODUCTS, 4)
        self.sites = [own_site(rng, self.app)]
        self.common_sites = rng.sample(words.COMMON_SITES, rng.randrange(2, 7))
        self.texts_templates = rng.random() < 0.5
        self.account = {"app_code": self.app, "name": self.shop, "plan": self.plan, "timezone": "Asia/Jakarta"}
        self.customers = Customers(rng, int(self.rate * rng.uniform(5, 40)))
        self.hire_people(users)
        self.install_programs()
        self.write_templates()
        self.plan_life(first_day, days)

    def hire_people(self, users):
        rng = self.rng
        self.office = address(rng, rng.choice(FIXED_LINES)) if rng.random() < 0.7 else None
        count = rng.randrange(users[0], users[1] + 1)
        roles = ["admin"] + ["supervisor"] * (count // 6) + ["agent"] * count
        self.people = [Person(rng, self.app, number, role, self.office) for number, role in enumerate(roles[:count])]
        self.hired = len(self.people)

    def install_programs(self):
        rng = self.rng
        chance = {"free": 0.05, "starter": 0.25, "business": 0.6, "enterprise": 0.9}[self.plan]
        self.api_share = rng.uniform(0.2, 0.85) if rng.random() < chance else 0.0
        self.api_net = rng.choice(HOSTS_AT_HOME)
        self.api_ips = [address(rng, self.api_net) for _ in range(rng.randrange(1, 4))]
        self.morning_batch = rng.random() < 0.35

    def write_templates(self):
        rng = self.rng
        self.notices = [Template(*notice) for notice in rng.sample(words.NOTICES, rng.randrange(1, 5))]
        self.promos = []
        for _ in range(rng.randrange(1, 6)):
            self.promos.append(self.new_promo("lama"))

    def new_promo(self, tag, site=None):
        rng = self.rng
        theme, body = rng.choice(words.PROMOS)
        body = body.format(product=rng.choice(self.products), shop=self.shop) if "{product}" in body or "{shop}" in body else body
        site = site or (self.sites[-1] if rng.random() < 0.5 else None)
        if site:
            body += f" https://{site}/{theme}"
        return Template(f"{theme}_{tag}_{rng.randrange(1, 999)}", "MARKETING", body, site)

    def plan_life(self, first_day, days):
        """Cold starts, growth, new sites, hires, agencies, lists of leads, travel, new servers."""
        rng = self.rng
        def moment(chance):
            """A day of the stream, or none: `chance` is that for 60 days."""
            return first_day + timedelta(days=rng.uniform(0, 1) * days) if rng.random() < chance * days / 60 else None
        self.begins = moment(0.15)
        self.is_new = self.begins is not None
        self.begins = self.begins or first_day
        self.growth = rng.uniform(1.5, 8) ** (1 / 60) if rng.random() < 0.12 else 1.0
        self.steps_up = moment(0.05)
        self.sleeps = None
        if rng.random() < 0.06:
            start = first_day + timedelta(days=int(rng.uniform(0, days)))
            self.sleeps = (start, start + timedelta(days=int(rng.uniform(7, 35))))
        self.new_site = moment(0.12)
        self.new_site_way = rng.choices(["chat", "notices", "campaign", "leads"], weights=[40, 20, 25, 15])[0]
        self.hires = sorted(filter(None, (moment(0.3), moment(0.15), moment(0.1))))
        self.moves = moment(0.03)
        self.agency = moment(0.04)
        self.new_server = moment(0.15) if self.api_share else None
        self.settings = sorted(filter(None, (moment(0.35), moment(0.2))))
        self.lead_days = sorted(filter(None, (moment(0.4), moment(0.2))))
        self.site_in_use = None

    def is_awake(self, day):
        if day < self.begins:
            return False
        return not (self.sleeps and self.sleeps[0] <= day < self.sleeps[1])

    def level(self, day):
        """Messages a day, before the calendar's factor."""
        rate = self.rate * self.growth ** (day - self.begins).days
        if self.steps_up and day >= self.steps_up:
            rate *= 3
        return min(rate, RATE_MAX)

    def hire(self):
        role = "admin" if self.rng.random() < 0.1 else "supervisor" if self.rng.random() < 0.2 else "agent"
        person = Person(self.rng, self.app, self.hired, role, self.office)
        self.hired += 1
        self.people.append(person)
        return person

    def manager(self):
        """Who makes templates and broadcasts."""
        return self.rng.choice([person for person in self.people if person.role != "agent"][:4])

    def link(self, rng):
        """A link as this tenant's people write it on this day."""
        if self.site_in_use and rng.random() < 0.5:
            return f"https://{self.site_in_use}/{rng.randrange(1000)}"
        draw = rng.random()
        if draw < 0.6:
            site = rng.choice(self.sites)
        elif draw < 0.97:
            site = rng.choice(self.common_sites)
        else:
            # Once in a while any page of the world.
            site = rng.choice(words.QUALITIES) + rng.choice(words.TRADES) + "." + rng.choice(words.PLAIN_ENDINGS)
        return f"https://{site}/{rng.randrange(10**4)}"
