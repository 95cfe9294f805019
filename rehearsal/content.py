"""Words: invented names, firms, messages and numbers that read like a real inbox.

Every number lies in a range made of zeros or reserved for fiction; every address ends in
``.invalid`` or ``.example``.
"""

from random import Random

from rehearsal.model import Phone


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    "محمد عبدالله نورة سارة خالد ريم فيصل هند عبدالرحمن لطيفة سلطان منيرة تركي العنود ماجد "
    "جواهر ياسر شهد بدر أمل James Olivia Omar Priya Daniel Fatima Lucas Aisha Hannah Bilal"
)
FAMILY_NAMES = _words(
    "الرملي الوادي السهل النخيل الصحراوي الواحة البستان المرجان الساحل الجبلي تجربة "
    "Sample Testwell Placeholder Demoson Fixture Mockley Exemplar Dummont"
)
COMPANIES = (
    "مؤسسة السهل التجارية",
    "شركة الواحة للخدمات",
    "مصنع النخلة المثالية",
    "Palm & Dune Trading",
    "Sample Logistics Co.",
    'شركة "أفق" للتقنية',
    "O'Placeholder & Sons",
)
POSITIONS = ("مدير المشتريات", "محاسب", "مالك", "Operations Manager", "Buyer", "مهندس موقع")
CITIES = ("الرياض", "جدة", "الدمام", "أبها", "المدينة المنورة", "Al Khobar")

INBOUND_TEXTS = (
    "السلام عليكم",
    "وعليكم السلام، كم سعر الخدمة لو سمحت؟",
    "متى يوصل الطلب رقم {n}؟",
    "تم التحويل، مرفق الإيصال",
    "شكراً لكم 🌹",
    "ممكن أحد يتصل علي بعد العصر؟",
    "الموعد يوم الأحد الساعة {h} مناسب",
    "أبي أعدل العنوان",
    "هل عندكم فرع في جدة؟",
    "لا أريد الاستمرار، ألغوا الطلب",
    "Hello, is order {n} shipped yet?",
    "Can I change my appointment to {h}:30?",
    "Thanks a lot!",
    "The link does not open on my phone",
    "Please send the invoice {n} again",
    "ok",
    "👍",
    "؟؟",
)
OUTBOUND_TEXTS = (
    "وعليكم السلام ورحمة الله، كيف نقدر نخدمك؟",
    "أهلاً بك 👋 معك فريق خدمة العملاء",
    "تم استلام طلبك رقم {n} وسيصلك خلال يومين عمل",
    "نعتذر عن التأخير، جاري المتابعة مع المندوب",
    "موعدك مؤكد يوم الأحد الساعة {h}:00",
    "نأمل تقييم الخدمة من 1 إلى 5",
    "رسالة آلية: شكراً لتواصلك، أوقات العمل من 9 صباحاً إلى 6 مساءً",
    "Dear customer, your order {n} is out for delivery.",
    "Your appointment at {h}:00 is confirmed ✅",
    "We are closed now and will answer in the morning.",
    "Could you share the order number, please?",
    "*عرض خاص*\nخصم 15% حتى نهاية الأسبوع\nللإلغاء أرسل: إيقاف",
)
ODD_TEXTS = (
    "",
    " ",
    "سطر أول\nسطر ثانٍ\r\n\tوثالث",
    "قال: \"نعم\" ثم \\ 'لا' وبعدها `;` --",
    "\u202bنص من اليمين \u202aand left\u202c إلى اليسار\u202c\u200f",
    "👩‍👩‍👧‍👦🇸🇦 ٣٫١٤ ½ ﷼ ﷺ",
    '{"looks": "like", "json": [1, null]}',
    "'; DROP TABLE contacts; --",
    "null",
    "=HYPERLINK(1)\u2028next\u2029last\u0007",
    "e\u0301 مـــمـــدود \ufeffBOM",
    "+966 50 000 0000 , 920000000",
    "نص طويل جداً " * 1_500,
)
NOTES = (
    "عميل مهم، يفضل الاتصال مساءً",
    "طلب عرض سعر\nوتم الإرسال",
    'Asked for "net 30" terms',
    "لا يرد على الجوال",
    "Duplicate of another record?",
    "  ",
)
SUMMARIES = (
    "### ملخص\n- استفسر العميل عن موعد التسليم\n- تم تأكيد العنوان",
    "### الملخص\n- شكوى من تأخر الطلب\n### الخطوات التالية\n- متابعة مع المستودع",
    "### Summary\n- Customer asked for a quote\n- Agent will send it by e-mail",
)
TRANSCRIPTS = (
    "ch_0: السلام عليكم\nch_1: وعليكم السلام، معك خدمة العملاء",
    "ch_0: Hello?\nch_1: Good morning, how can I help?",
)
FAILURES: tuple[tuple[int | str | None, str | None], ...] = (
    (131026, "Message undeliverable"),
    ("131047", "Re-engagement message: more than 24 hours have passed"),
    (131049, None),
    ("Message undeliverable", None),
    (None, "رقم المستلم ليس على واتساب"),
    (None, None),
)
PLACES = ((24.7136, 46.6753, "برج الواحة", "الرياض، حي التجربة"), (21.4858, 39.1925, None, None))
TAGS = (
    ("شكوى", "😡"),
    ("شكوى ", "😡"),
    ("مبيعات", "💰"),
    ("Sales", None),
    ("sales ", "chart-line"),
    ("متابعة", "⏰"),
    ("VIP", "⭐"),
    ("VIP ", "⭐"),
    ("استرجاع", "↩️"),
    ("فاتورة", "receipt"),
    ("  تقنية", "🛠️"),
    ("Do not call", None),
)
COLOURS = ("#16A34A", "#DC2626", "#2563EB", None)

_NUMBERS = (
    ("SA", "+966{d}0000{n:03}", ("50", "53", "54", "55", "56", "58", "59")),
    ("AE", "+971{d}0000{n:03}", ("50", "52", "55", "56")),
    ("KW", "+965{d}00{n:03}", ("500", "600")),
    ("EG", "+20{d}00000{n:03}", ("10", "11", "12")),
    ("PK", "+92{d}0000{n:03}", ("300", "310")),
    ("US", "+1{d}55501{n:02}", ("202", "312", "415")),
    ("IN", "+91{d}0000{n:03}", ("900", "980")),
    ("SA", "+966{d}0000{n:03}", ("11",)),
    ("SA", "+966{d}000{n:02}", ("9200",)),
)
_SHARE = (
    (0,) * 78 + (1,) * 5 + (2,) * 3 + (3,) * 3 + (4,) * 2 + (5,) * 2 + (6,) * 2 + (7, 7, 7, 8, 8)
)


def phone(rng: Random, index: int) -> Phone:
    """The index-th number: mostly Saudi mobiles, some foreign, landlines, unified numbers."""
    country, pattern, prefixes = _NUMBERS[_SHARE[int(rng.random() * len(_SHARE))]]
    number = index // len(prefixes) % (100 if "n:02" in pattern else 1000)
    return Phone(pattern.format(d=prefixes[index % len(prefixes)], n=number), country)


def person(rng: Random) -> str:
    """A full name, Arabic or English, now and then both."""
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(FAMILY_NAMES)}"


def email(rng: Random, index: int) -> str:
    """An address in a domain that can not exist."""
    return f"{rng.choice(('info', 'buyer', 'contact', 'ali+test'))}.{index}@example.invalid"


def message(rng: Random, inbound: bool, odd: float) -> str:
    """A message body; ``odd`` is the share that is hard to carry."""
    random = rng.random
    if random() < odd:
        return ODD_TEXTS[int(random() * len(ODD_TEXTS))]
    texts = INBOUND_TEXTS if inbound else OUTBOUND_TEXTS
    text = texts[int(random() * len(texts))]
    if "{" in text:
        return text.format(n=10_000 + int(random() * 90_000), h=1 + int(random() * 11))
    return text
