"""Who acts, and from where: users of a tenant, the networks they use, the numbers they write to."""

# First two octets. Offices sit behind fixed lines, telephones hop within their carrier.
FIXED_LINES = [(36, net) for net in range(64, 96)] + [(125, net) for net in range(160, 168)] + [
    (180, net) for net in range(244, 255)] + [(103, net) for net in range(3, 90)] + [(139, 255), (182, 253), (110, 136)]
CARRIERS = {
    "telkomsel": [(114, net) for net in range(120, 126)] + [(182, net) for net in range(0, 6)],
    "indosat": [(114, net) for net in range(4, 14)] + [(202, 152), (202, 155)],
    "xl": [(112, 215), (140, 213), (120, 188), (202, 67), (180, 243)],
    "tri": [(116, 206), (180, 214), (223, 255), (118, 96)],
    "smartfren": [(39, net) for net in range(192, 196)] + [(202, 70)],
}
HOSTS_AT_HOME = [(103, 28), (103, 150), (116, 193), (34, 101), (108, 136), (13, 212), (18, 136)]
HOSTS_ABROAD = [(185, net) for net in range(100, 180)] + [(45, net) for net in range(8, 150)] + [
    (194, net) for net in range(26, 60)] + [(91, net) for net in range(200, 250)] + [(5, net) for net in range(180, 200)]
PREFIXES = "811 812 813 821 822 823 851 852 853 855 856 857 858 877 878 881 882 895 896 897 898 899".split()


def number(rng):
    """A mobile number, without the plus."""
    return "62" + rng.choice(PREFIXES) + str(rng.randrange(10**6, 10**8))


def address(rng, net):
    return f"{net[0]}.{net[1]}.{rng.randrange(1, 255)}.{rng.randrange(1, 255)}"


class Person:
    """A user of the platform: at the office on weekdays, or on a telephone."""

    def __init__(self, rng, app, index, role, office):
        self.id = f"{app}-u{index}"
        self.email = f"{self.id}@{app}.example"
        self.role = role
        self.office = office
        self.carrier = rng.choices(list(CARRIERS), weights=[45, 22, 18, 10, 5])[0]
        # Which of the carrier's networks a telephone gets is a habit of the place it is at.
        nets = list(CARRIERS[self.carrier])
        rng.shuffle(nets)
        self.nets = nets
        self.is_mobile = office is None or rng.random() < 0.3
        self.roams = rng.random() < 0.12
        self.ip = None
        self.day = None
        self.shift = rng.choices([(0, 24), (6, 15), (13, 24)], weights=[60, 20, 20])[0]

    def sit_down(self, rng, day):
        """Chooses where this person works today; returns whether it is the first time today."""
        if self.day == day:
            return False
        self.day = day
        if self.office and not (self.is_mobile and rng.random() < 0.5):
            self.ip = self.office
        elif self.roams and rng.random() < 0.08:
            self.ip = address(rng, rng.choice(CARRIERS[rng.choice(list(CARRIERS))] + FIXED_LINES))
        else:
            # Mostly the first of its networks, seldom one far down.
            place = min(int(rng.expovariate(1.4)), len(self.nets) - 1)
            self.ip = address(rng, self.nets[place])
        return True

    def actor(self, auth="password"):
        return {"id": self.id, "email": self.email, "role": self.role, "auth": auth, "ip": self.ip}


class Customers:
    """The numbers a tenant has written to, the latest the likeliest to be written to again."""

    def __init__(self, rng, size):
        self.known = [number(rng) for _ in range(size)]

    def new(self, rng):
        recipient = number(rng)
        self.known.append(recipient)
        if len(self.known) > 20_000:
            del self.known[:5_000]
        return recipient

    def old(self, rng):
        if not self.known:
            return self.new(rng)
        back = int(rng.paretovariate(0.6)) if rng.random() < 0.6 else rng.randrange(1, len(self.known) + 1)
        return self.known[-min(back, len(self.known))]
