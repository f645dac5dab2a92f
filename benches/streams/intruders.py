"""What intruders do with an account: nine kinds of attack, each drawn anew every time."""

import math
from datetime import timedelta

import words
from people import CARRIERS, HOSTS_ABROAD, address, number
from routine import broadcast, change, create_template, midnight, send
from envelope import Event
from tenants import Template

KINDS = ("blast", "slow_drip", "template_broadcast", "night", "ramp", "dormant", "mimic", "api_key", "takeover")


class Attack:
    """One attack on one tenant: who, from where, with which text, to whom."""

    def __init__(self, tenant, kind, name, day, with_links):
        rng = self.rng = tenant.rng
        self.tenant, self.kind, self.name, self.day = tenant, kind, name, day
        self.account = tenant.account
        self.events = []
        scheme = rng.choice(words.SCHEMES) if rng.random() < 0.65 else rng.choice(words.BLAND)
        # A tenth sends no link at all: an answer, a call or another messenger is wanted.
        has_link = rng.random() < 0.9
        self.site = bad_site(rng, tenant) if has_link and with_links else None
        self.pattern = scheme[1] if self.site else scheme[2]
        self.uses_customers = rng.random() < 0.25
        self.victim = rng.choice(tenant.people)
        self.ip = address(rng, rng.choice(HOSTS_ABROAD) if rng.random() < 0.65 else rng.choice(CARRIERS[rng.choice(list(CARRIERS))]))
        self.actor = {"id": self.victim.id, "email": self.victim.email, "role": self.victim.role,
                      "auth": "password" if rng.random() < 0.7 else "token", "ip": self.ip}

    def run(self):
        getattr(self, self.kind)()
        return self.events

    # --- steps ---

    def login(self, seconds):
        if self.actor["auth"] == "token":
            return
        for place in range(self.rng.choice([0, 0, 0, 2, 6])):
            self.events.append(Event(seconds - 30 + place * 4, "login.failed", self.account, dict(self.actor),
                                     {"result": "failed", "method": "password"}, self.name))
        content = {"result": "succeeded", "method": "password", "new_device": True}
        self.events.append(Event(seconds, "login.succeeded", self.account, dict(self.actor), content, self.name))

    def recipient(self):
        if self.uses_customers and self.tenant.customers.known:
            return self.rng.choice(self.tenant.customers.known)
        return number(self.rng)

    def text(self):
        rng = self.rng
        link = f"https://{self.site}/{rng.choice(['', 'id', 'klaim', 'cek', 'l'])}{rng.randrange(10**3)}" if self.site else ""
        return self.pattern.format(link=link, digits=rng.randrange(10**8, 10**9))

    def write(self, seconds, count, span, actor=None, template=None):
        """Messages at random moments of a span, in seconds."""
        for moment in sorted(self.rng.uniform(0, span) for _ in range(count)):
            send(self.tenant, seconds + moment, actor or self.actor, self.recipient(), self.text(), self.events, self.name,
                 template)

    def at(self, hour, day=0):
        return midnight(self.day + timedelta(days=day)) + hour * 3600

    def amount(self, least, times, most=3000):
        """So many messages: some multiple of what the tenant sends a day."""
        wanted = self.tenant.level(self.day) * math.exp(self.rng.gauss(math.log(times), 0.6))
        return int(min(max(least * self.rng.uniform(0.7, 1.6), wanted), most))

    # --- kinds ---

    def blast(self):
        start = self.at(self.rng.uniform(0, 24))
        self.login(start)
        self.write(start + self.rng.uniform(60, 1200), self.amount(200, 2), self.rng.uniform(0.3, 3) * 3600)

    def dormant(self):
        self.blast()

    def night(self):
        for night in range(self.rng.randrange(1, 4)):
            start = self.at(self.rng.uniform(0.5, 2.5), night)
            if night == 0:
                self.login(start - 120)
            self.write(start, self.amount(60, 0.4, 800), self.rng.uniform(0.7, 2) * 3600)

    def slow_drip(self):
        start = self.at(self.rng.uniform(0, 24))
        self.login(start)
        hours = self.rng.uniform(20, 96)
        self.write(start + 600, int(hours * self.rng.uniform(3, 12)), hours * 3600)

    def ramp(self):
        days = self.rng.randrange(7, 14)
        self.login(self.at(10))
        top = self.amount(80, 0.5, 600)
        for day in range(days):
            self.write(self.at(self.rng.uniform(8, 12), day), max(2, int(top * ((day + 1) / days) ** 2)), 8 * 3600)
        self.write(self.at(11, days), 4 * top, 2 * 3600)

    def mimic(self):
        """A session is stolen: the victim's own address, in working hours, no faster than the victim."""
        if self.victim.ip is None:
            self.victim.sit_down(self.rng, self.day)
        self.actor = dict(self.victim.actor("token"))
        for day in range(self.rng.randrange(1, 4)):
            count = int(min(max(self.tenant.level(self.day) * 0.35, 15) * self.rng.uniform(0.6, 1.4), 250))
            self.write(self.at(9, day), count, 9 * 3600)

    def api_key(self):
        """The secret key works from anywhere and needs no login."""
        actor = {"id": f"{self.tenant.app}-api", "role": "api", "auth": "secret_key", "ip": self.ip}
        start = self.at(self.rng.uniform(0, 24))
        template = self.rng.choice(self.tenant.notices) if self.rng.random() < 0.3 else None
        self.write(start, self.amount(250, 2), self.rng.uniform(0.5, 8) * 3600, actor, template)

    def bad_template(self, seconds):
        rng = self.rng
        body = self.text()
        name = rng.choice([f"promo_{rng.randrange(1000)}", f"{rng.getrandbits(40):x}", rng.choice(words.PROMOS)[0] + "_baru", "info_pelanggan"])
        template = Template(name, "UTILITY" if rng.random() < 0.6 else "MARKETING", body)
        language = "en" if rng.random() < 0.2 else "id"
        return template, create_template(self.tenant, seconds, dict(self.actor), template, self.events, self.name, language)

    def template_broadcast(self):
        self.broadcasts(self.at(self.rng.choice([self.rng.uniform(0, 6), self.rng.uniform(7, 23)])))

    def takeover(self):
        """The whole path: a login, sometimes settings, a template, broadcasts."""
        start = self.at(self.rng.uniform(0, 23))
        self.actor["auth"] = "password"
        self.login(start)
        if self.rng.random() < 0.4:
            for place, what in enumerate(self.rng.sample(["webhook_url", "user_email", "api_token", "two_factor"], 2)):
                change(self.tenant, start + 60 + place * 90, self.actor, what, "app", self.events, self.name)
        self.broadcasts(start)

    def broadcasts(self, start):
        rng = self.rng
        template, ready = self.bad_template(start + rng.uniform(300, 1800))
        seconds = ready + rng.uniform(60, 7200)
        size = max(self.tenant.usual_size, rng.choice([980, 990, 1000, 500, 250]))
        for _ in range(rng.randrange(1, 7)):
            recipients = list(dict.fromkeys(self.recipient() for _ in range(min(size, 5000))))
            hidden = {"hide_variables": True} if rng.random() < 0.4 else {}
            seconds = broadcast(self.tenant, seconds, dict(self.actor), template, recipients, self.events, self.name, **hidden)
            seconds += rng.uniform(30, 900)


def bad_site(rng, tenant):
    """A page that is the intruder's: free, cheap, shortened, a look-alike, or like any other."""
    word = rng.choice(["hadiah", "promo", "info", "cek", "resmi", "layanan", "klaim", "verif", "undian", "kurir"])
    name = f"{word}{rng.choice(['', '-'])}{rng.choice(words.QUALITIES)}{rng.choice(['', str(rng.randrange(10, 99))])}"
    draw = rng.random()
    if draw < 0.3:
        return f"{name}.{rng.choice(words.CHEAP_ENDINGS)}"
    if draw < 0.5:
        return f"{name}.{rng.choice(words.FREE_HOSTS)}"
    if draw < 0.6:
        return rng.choice(["cutt.ly", "tinyurl.com", "rb.gy", "t.ly", "is.gd"])
    if draw < 0.7:
        return f"{tenant.sites[0].split('.')[0]}-{word}.{rng.choice(words.CHEAP_ENDINGS + words.PLAIN_ENDINGS)}"
    return f"{rng.choice(words.QUALITIES)}{rng.choice(words.TRADES)}{rng.randrange(100)}.{rng.choice(words.PLAIN_ENDINGS)}"
