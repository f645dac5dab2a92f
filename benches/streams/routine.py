"""What a tenant does on one day: conversations, notices of its programs, campaigns, logins, changes."""

import math
from datetime import datetime, time, timedelta

import seasons
import words
from envelope import JAKARTA, Event
from people import FIXED_LINES, HOSTS_AT_HOME, address
from tenants import own_site

# A conversation has this many messages of the tenant, on average.
TURNS = 2.4


def poisson(rng, mean):
    if mean <= 0:
        return 0
    if mean > 40:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count


def midnight(day):
    return datetime.combine(day, time(), JAKARTA).timestamp()


def day_of(tenant, day):
    """All events of a tenant that begin on this day; some end on the next."""
    if not tenant.is_awake(day):
        return []
    events = life(tenant, day)
    rng = tenant.rng
    factor = seasons.day_factor(tenant.trade, day) * math.exp(rng.gauss(0, 0.25))
    total = tenant.level(day) * factor
    shares = seasons.hour_shares(tenant.trade, day)
    start = midnight(day)
    for hour, share in enumerate(shares):
        busy = total * share * rng.gammavariate(4, 0.25)
        for _ in range(poisson(rng, busy * (1 - tenant.api_share) / TURNS)):
            conversation(tenant, day, start + (hour + rng.random()) * 3600, events)
        for _ in range(poisson(rng, busy * tenant.api_share * (0.6 if tenant.morning_batch else 1))):
            notice(tenant, start + (hour + rng.random()) * 3600, events)
    if tenant.morning_batch and tenant.api_share:
        for _ in range(poisson(rng, total * tenant.api_share * 0.4)):
            notice(tenant, start + 9 * 3600 + rng.expovariate(1 / 240), events)
    if rng.random() < 1 - math.exp(-tenant.broadcasts_a_day * seasons.campaign_appetite(tenant.trade, day)):
        campaign(tenant, day, events)
    return events


def greet(tenant, person, day, seconds, events, auth="password"):
    """Logs a person in who acts for the first time today."""
    rng = tenant.rng
    if not person.sit_down(rng, day):
        return
    at = seconds - rng.uniform(20, 400)
    if rng.random() < 0.05:
        events.append(Event(at - 15, "login.failed", tenant.account, person.actor(), {"result": "failed", "method": "password"}))
    login = {"result": "succeeded", "method": "password", "new_device": rng.random() < 0.03}
    events.append(Event(at, "login.succeeded", tenant.account, person.actor(auth), login))


def on_duty(tenant, hour):
    present = [person for person in tenant.people if person.shift[0] <= hour < person.shift[1]]
    return tenant.rng.choice(present or tenant.people)


def conversation(tenant, day, seconds, events):
    rng = tenant.rng
    person = on_duty(tenant, int((seconds - midnight(day)) // 3600))
    greet(tenant, person, day, seconds, events)
    is_new = rng.random() < tenant.share_new
    recipient = tenant.customers.new(rng) if is_new else tenant.customers.old(rng)
    actor = person.actor()
    for _ in range(1 + min(poisson(rng, TURNS - 1), 12)):
        pattern = rng.choice(words.CHAT_LINK if rng.random() < tenant.share_linked else words.CHAT)
        send(tenant, seconds, actor, recipient, fill(tenant, pattern), events)
        seconds += rng.uniform(15, 240)


def send(tenant, seconds, actor, recipient, text, events, hostile=None, template=None, variables=None):
    """A message, and what becomes of it: some fail, of those to strangers more."""
    sent = message(tenant, seconds, actor, recipient, text, hostile, template, variables)
    events.append(sent)
    if tenant.rng.random() < (0.05 if hostile else 0.005):
        failed = {key: sent.content[key] for key in ("id", "kind", "recipient", "room_id")}
        events.append(Event(seconds + 4, "message.failed", tenant.account, actor, failed, hostile))


def fill(tenant, pattern, link=None):
    rng = tenant.rng
    return pattern.format(
        name=rng.choice(words.FIRST_NAMES).title(), product=rng.choice(tenant.products), shop=tenant.shop,
        price=rng.randrange(20, 900), fee=rng.randrange(8, 45), hour=rng.randrange(2, 20),
        link=link or (tenant.link(rng) if "{link}" in pattern else ""),
    )


def message(tenant, seconds, actor, recipient, text, hostile=None, template=None, variables=None):
    content = {"id": f"m{tenant.rng.getrandbits(48):x}", "kind": "template" if template else "text", "recipient": recipient,
               "room_id": f"r{recipient[-9:]}"}
    if text is not None:
        content["text"] = text
    if template:
        content["template_name"] = template.name
        content["variables"] = variables or []
    return Event(seconds, "message.sent", tenant.account, actor, content, hostile)


def notice(tenant, seconds, events):
    """A program tells a customer something by an approved template."""
    rng = tenant.rng
    template = rng.choice(tenant.notices)
    is_new = rng.random() < min(0.9, tenant.share_new * (1.6 if template.category == "AUTHENTICATION" else 1))
    recipient = tenant.customers.new(rng) if is_new else tenant.customers.old(rng)
    values = [f"{rng.randrange(10**6):06}", rng.choice(words.FIRST_NAMES).title()]
    body = template.body.replace("{{1}}", values[0]).replace("{{2}}", values[1])
    actor = {"id": f"{tenant.app}-api", "role": "api", "auth": "secret_key", "ip": rng.choice(tenant.api_ips)}
    text = body if tenant.texts_templates else None
    send(tenant, seconds, actor, recipient, text, events, template=template, variables=values)


def create_template(tenant, seconds, actor, template, events, hostile=None, language="id"):
    content = {"name": template.name, "category": template.category, "language": language, "body": template.body}
    events.append(Event(seconds, "template.created", tenant.account, actor, content, hostile))
    approved = {"name": template.name, "category": template.category, "language": language, "approval_status": "approved"}
    delay = tenant.rng.uniform(120, 3600)
    events.append(Event(seconds + delay, "template.approved", tenant.account, {"id": "whatsapp", "role": "system"}, approved, hostile))
    return seconds + delay


def broadcast(tenant, seconds, actor, template, recipients, events, hostile=None, **more):
    """Creation, start and end of a broadcast, and its deliveries where the platform reports them."""
    rng = tenant.rng
    job = {"job_id": f"j{rng.getrandbits(40):x}", "template_name": template.name, "language": "id",
           "recipient_count": len(recipients)}
    content = dict(job, name=template.name, variables=[f"{rng.randrange(10, 60)}%"], **more)
    created = Event(seconds, "broadcast.created", tenant.account, actor, content, hostile)
    started = Event(seconds + rng.uniform(5, 60), "broadcast.started", tenant.account, actor, dict(job, status="started"), hostile)
    rate = rng.uniform(5, 20)
    end = started.seconds + len(recipients) / rate
    failed = sum(rng.random() < (0.12 if hostile else 0.03) for _ in recipients)
    done = dict(job, status="completed", failed_count=failed)
    events += [created, started, Event(end, "broadcast.completed", tenant.account, {"id": "platform", "role": "system"}, done, hostile)]
    if tenant.reports_deliveries:
        text = template.body.replace("{{1}}", content["variables"][0])
        for place, recipient in enumerate(recipients):
            sent = {"id": f"{job['job_id']}-{place}", "kind": "template", "recipient": recipient, "text": text,
                    "template_name": template.name, "variables": content["variables"]}
            events.append(Event(started.seconds + place / rate, "message.sent", tenant.account, actor, sent, hostile))
    return end


def campaign(tenant, day, events, template=None, person=None):
    """A broadcast to customers, part of them from lists; half of them by a template of these days."""
    rng = tenant.rng
    person = person or tenant.manager()
    seconds = midnight(day) + rng.triangular(8, 20, 10) * 3600
    greet(tenant, person, day, seconds, events)
    if template is None and tenant.site_in_use and tenant.new_site_way == "campaign" and rng.random() < 0.8:
        template = tenant.new_promo(f"{day:%d%m}", tenant.site_in_use)
        seconds = create_template(tenant, seconds, person.actor(), template, events) + rng.uniform(300, 7200)
        tenant.promos.append(template)
    elif template is None and (rng.random() < 0.5 or not tenant.promos):
        template = tenant.new_promo(f"{day:%d%m}")
        seconds = create_template(tenant, seconds, person.actor(), template, events) + rng.uniform(300, 7200)
        tenant.promos.append(template)
    template = template or rng.choice(tenant.promos[-6:])
    size = max(3, int(tenant.usual_size * math.exp(rng.gauss(0, 0.5))))
    for _ in range(1 if rng.random() < 0.75 else rng.randrange(2, 5)):
        fresh = 0.4 if rng.random() < 0.15 else 0.03
        recipients = [tenant.customers.new(rng) if rng.random() < fresh else rng.choice(tenant.customers.known or ["62811000"])
                      for _ in range(min(size, 12_000))]
        seconds = broadcast(tenant, seconds, person.actor(), template, list(dict.fromkeys(recipients)), events) + rng.uniform(60, 1800)


def life(tenant, day):
    """The events of this day that are not routine."""
    rng, events = tenant.rng, []
    start = midnight(day)
    def is_today(moment):
        return moment is not None and moment == day
    if day == tenant.begins and tenant.is_new:
        set_up(tenant, day, events)
    for moment in tenant.hires:
        if is_today(moment):
            boss, person = tenant.manager(), tenant.hire()
            greet(tenant, boss, day, start + 9 * 3600, events)
            change(tenant, start + 9.1 * 3600, boss.actor(), "user_created", person.id, events)
    if is_today(tenant.moves):
        tenant.office = address(rng, rng.choice(FIXED_LINES))
        for person in tenant.people:
            person.office = tenant.office if person.office else None
    if is_today(tenant.new_server):
        net = tenant.api_net if rng.random() < 0.6 else rng.choice(HOSTS_AT_HOME)
        tenant.api_ips = [address(rng, net)]
    for moment in tenant.settings:
        if is_today(moment):
            boss = tenant.people[0]
            greet(tenant, boss, day, start + 10 * 3600, events)
            change(tenant, start + 10.2 * 3600, boss.actor(), rng.choice(["webhook_url", "password", "user_role", "secret_key"]), "app", events)
    if is_today(tenant.new_site):
        new_site(tenant, day, events)
    elif tenant.site_in_use and (day - tenant.new_site).days > 12:
        tenant.site_in_use = None
    if is_today(tenant.agency):
        agency(tenant, day, events)
    for moment in tenant.lead_days:
        if is_today(moment):
            leads(tenant, day, events)
    return events


def set_up(tenant, day, events):
    """The first day of an account."""
    start, boss = midnight(day), tenant.people[0]
    greet(tenant, boss, day, start + 8 * 3600, events)
    for place, template in enumerate(tenant.notices + tenant.promos):
        create_template(tenant, start + (8.2 + place / 12) * 3600, boss.actor(), template, events)
    for person in tenant.people[1:]:
        change(tenant, start + 9 * 3600, boss.actor(), "user_created", person.id, events)


def change(tenant, seconds, actor, what, target, events, hostile=None):
    content = {"what": what, "target": target}
    events.append(Event(seconds, f"change.{what}", tenant.account, actor, content, hostile))


def new_site(tenant, day, events):
    """The tenant brings a site of its own: in chats, in notices, by a campaign, or to a list of leads."""
    rng, start = tenant.rng, midnight(day)
    site = own_site(rng, tenant.app.rsplit("-", 1)[0] + rng.choice(["promo", "store", "app", "official", "event", ""]))
    tenant.sites.append(site)
    tenant.site_in_use = site
    if tenant.new_site_way == "notices" and tenant.api_share:
        boss, template = tenant.manager(), rng.choice(tenant.notices)
        greet(tenant, boss, day, start + 10 * 3600, events)
        template.body += f" https://{site}/cek"
        content = {"name": template.name, "category": template.category, "language": "id", "body": template.body}
        events.append(Event(start + 10.5 * 3600, "template.updated", tenant.account, boss.actor(), content))
    elif tenant.new_site_way == "campaign":
        campaign(tenant, day, events)
    elif tenant.new_site_way == "leads":
        leads(tenant, day, events, f"https://{site}/baru")


def leads(tenant, day, events, link=None):
    """Two or three people work through a list of strangers for a few hours."""
    rng = tenant.rng
    pattern = rng.choice(words.LEADS_LINK if link else words.LEADS)
    seconds = midnight(day) + rng.uniform(9, 15) * 3600
    team = rng.sample(tenant.people, min(len(tenant.people), rng.randrange(1, 4)))
    for person in team:
        greet(tenant, person, day, seconds, events)
    count = int(min(600, max(15, tenant.rate * rng.uniform(0.3, 1.5))))
    span = rng.uniform(1, 5) * 3600
    for place in range(count):
        text = fill(tenant, pattern, link)
        at = seconds + span * (place + rng.random()) / count
        send(tenant, at, rng.choice(team).actor(), tenant.customers.new(rng), text, events)


def agency(tenant, day, events):
    """An agency takes over the campaigns: a new user, elsewhere, with a template and a broadcast at once."""
    rng, start = tenant.rng, midnight(day)
    boss, person = tenant.manager(), tenant.hire()
    greet(tenant, boss, day, start + 9 * 3600, events)
    change(tenant, start + 9.2 * 3600, boss.actor(), "user_created", person.id, events)
    person.role, person.office, person.is_mobile = "supervisor", address(rng, rng.choice(FIXED_LINES)), False
    campaign(tenant, day, events, person=person)
