"""Forms that a whole value can have, as patterns of Rust's regex: whole columns "
"are matched at once.
"""

from __future__ import annotations

EMAIL = (
    r"^(?:mailto:)?[\w.!#$%&'*+/=?^`{|}~-]+@[\p{L}\p{N}][\p{L}\p{N}._-]*"
    r"\.(?:xn--[A-Za-z0-9-]+|\p{L}\p{L}+)$"
)
HASHES: dict[str, str] = {
    "hex_32": r"^[0-9a-fA-F]{32}$",
    "hex_40": r"^[0-9a-fA-F]{40}$",
    "hex_56": r"^[0-9a-fA-F]{56}$",
    "hex_64": r"^[0-9a-fA-F]{64}$",
    "hex_96": r"^[0-9a-fA-F]{96}$",
    "hex_128": r"^[0-9a-fA-F]{128}$",
    "base64_16": r"^[A-Za-z0-9+/]{21}[AQgw]==$",
    "base64_20": r"^[A-Za-z0-9+/]{26}[AEIMQUYcgkosw048]=$",
    "base64_32": r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$",
    "base64_64": r"^[A-Za-z0-9+/]{85}[AQgw]==$",
    "base64url_32": r"^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$",
    "bcrypt": r"^\$2[abxy]\$[0-9]{2}\$[./A-Za-z0-9]{53}$",
    "argon2": r"^\$argon2(?:id|i|d)\$v=[0-9]+\$[^$]+\$[^$]+\$[^$]+$",
    "base32_20": r"^[A-Z2-7]{32}$",
    "base32_32": r"^[A-Z2-7]{52}(?:====)?$",
    "prefixed_hex": r"^0x(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-fA-F]{128})$",
    "crypt": (
        r"^\$(?:1|5|6|y"
        r"|apr1)\$(?:rounds=[0-9]+\$)?[./A-Za-z0-9]+\$[./A-Za-z0-9]{20,}(?:\.{3})?$"
    ),
    "pbkdf2": r"^\$?(?:pbkdf2|scrypt)[\w:-]*\$[^ ]+\$[^ $]+\$[A-Za-z0-9+/=._-]{20,}$",
    "phpass": r"^\$[PH]\$[./A-Za-z0-9]{31}$",
    "mysql": r"^\*[0-9A-F]{40}$",
    "salted_hex": r"^[0-9a-f]{8,64}:[0-9a-f]{32,128}$",
    "fingerprint": (
        r"^(?:[0-9A-Fa-f]{2}:){15}(?:(?:[0-9A-Fa-f]{2}:){4}"
        r"|(?:[0-9A-Fa-f]{2}:){16})?[0-9A-Fa-f]{2}$"
    ),
    "ldap": r"^\{(?:SSHA|SHA|SMD5|MD5|SSHA256|SHA256|SSHA512|SHA512|CRYPT)\}[A-Za-z0-9+/=]{20,}$",
    "labelled": r"^(?i)(?:md5|sha1|sha-?256|sha-?512|hmac)[:$_-][0-9a-f]{32,128}$",
}
"""Digests. Of the forms in base64 nothing but the length is a mark."""
UUID = r"^\{?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?$"
UUID_BARE = r"^[0-9a-fA-F]{12}4[0-9a-fA-F]{3}[89abAB][0-9a-fA-F]{15}$"
PHONE_PLUS = (
    r"^(?:tel:"
    r"|(?i)whatsapp:)?\(?\+[ (]{0,2}[1-9](?:[ ().\-/\x{a0}]{0,3}[0-9]){6,14}(?: ?(?:x"
    r"|ext\.?|#) ?[0-9]{1,6})?$"
)
PHONE_SET = (
    r"^(?:"
    r"(?:1[ .-]?)?\([2-9][0-9]{2}\)[ .-]?[2-9][0-9]{2}[ .-]?[0-9]{4}"
    r"|(?:1[ .-])?[2-9][0-9]{2}[-.][2-9][0-9]{2}[-.][0-9]{4}"
    r"|001[ .-][2-9][0-9]{2}[ .-][0-9]{3}[ .-][0-9]{4}"
    r"|0[1-9](?:[ .-][0-9]{2}){4}"
    r"|0[0-9]{1,4}[ /-][0-9]{2,4}[ -][0-9]{2,5}(?:[ -][0-9]{2,4})?"
    r"|\(0[0-9]{1,5}\) ?[0-9]{2,5}(?:[ -]?[0-9]{2,5}){1,3}"
    r"|0[0-9]{2,4}/[0-9]{4,9}"
    r"|00[ -]?[1-9][0-9]{0,2}(?:[ ().-]{1,2}[0-9]{1,8}){2,5}"
    r"|\([0-9]{2,3}\) ?[0-9]{3,5}[ -][0-9]{4}"
    r")(?: ?(?:x|ext\.?|#) ?[0-9]{1,6})?$"
)
PHONE_DIGITS = r"^(?:0[1-9][0-9]{7,10}|00[1-9][0-9]{7,13})$"
DIGITS_SET = (
    r"^[^0-9A-Za-z]*(?:[0-9][^0-9A-Za-z]{0,3}){6,14}[0-9][^0-9A-Za-z]*(?:(?:x|ext\.?"
    r"|#) ?[0-9]{1,6})?$"
)
CARD = r"^[2-9][0-9]{3}(?:[ -]?[0-9]){8,15}$"
IBAN = r"^[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}$"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
_ADDRESS = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
IPV4 = rf"^{_ADDRESS}(?:/[0-9]{{1,2}}|:[0-9]{{2,5}}|(?:, ?{_ADDRESS})+)?$"
IPV4_FAR = r"^(?:[4-9][0-9]|[12][0-9]{2})\.|\.(?:[4-9][0-9]|[12][0-9]{2})\."
IPV6 = (
    r"^(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}$"
    r"|^(?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}$"
    r"|^(?:[0-9a-fA-F]{1,4}:){1,7}:$|^::(?:ffff:)?[0-9a-fA-F.:]{2,39}$"
)
MAC = r"^(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$"
USER_AGENT = (
    r"^(?:Mozilla|Opera|Dalvik|okhttp|curl|PostmanRuntime|python-requests|Googlebot"
    r"|Wget|CFNetwork|[A-Za-z][\w.]{1,30})/[0-9][\w.]*(?: |$)"
)
USER_AGENT_SURE = (
    r"^(?:Mozilla/[45]\.0 \(|Opera/[0-9]|Dalvik/|okhttp/|curl/|PostmanRuntime/"
    r"|python-requests/)|AppleWebKit/|CFNetwork/"
)
URL = r"^(?i)(?:https?|ftp)://|^www\.[\w-]+\.[a-z]{2,}|^/[\w.-]+(?:/[\w.-]*)*\?[\w-]+="
URL_PERSON = (
    r"(?i)[?&;](?:e-?mail|mail|phone|tel|mobile|name|first_?name|last_?name|fname"
    r"|lname|user(?:name|id|_id)?"
    r"|login|uid|customer(?:_?id)?|contact|dob|ssn|addr(?:ess)?|zip)=[^&]"
    r"|(?:wa\.me/[0-9]|linkedin\.com/(?:in|pub)/|facebook\.com/[\w.]{5,}|twitter\.com/\w+"
    r"|instagram\.com/\w+|github\.com/[\w-]+/?$"
    r"|/(?:users?|profiles?|members?|people|u|customers?)/[\w.%-]{2,}|/~\w+)"
)
GEO = (
    r"^[\[(]?-?[0-9]{1,2}\.[0-9]{2,}[ ,;]{1,3}-?[0-9]{1,3}\.[0-9]{2,}[\])]?$"
    r"|^(?i)(?:SRID=[0-9]+;)?POINT ?\("
    r"|^[0-9]{1,3}\x{b0} ?[0-9]{1,2}['\x{2032}]"
)
DATE = (
    r"^(?:(?:18|19|20)[0-9]{2}[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12][0-9]|3[01])"
    r"|(?:0?[1-9]|[12][0-9]|3[01])[-/. ](?:0?[1-9]|[12][0-9]|3[01]"
    r"|1[0-2])[-/. ](?:(?:18|19|20)?[0-9]{2})"
    r"|(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:18|19|20)[0-9]{2}\x{5e74}[0-9]{1,2}\x{6708}[0-9]{1,2}\x{65e5}"
    r"|[0-9]{1,2}\.?[ -]?(?:de )?\p{L}{3,10}\.?,?[ -](?:de )?(?:18|19|20)[0-9]{2}"
    r"|\p{L}{3,10}\.? [0-9]{1,2},? (?:18|19|20)[0-9]{2})"
    r"(?:[T ][0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?: ?(?:Z|UTC"
    r"|[+-][0-9]{2}:?[0-9]{2}))?)?$"
)
TIME_OF_DAY = r"[T ](?:0?[1-9]|1[0-9]|2[0-3]):[0-9]{2}|[T ]00?:(?:0[1-9]|[1-5][0-9])"
YEAR = r"(?:^|[^0-9])((?:18|19|20)[0-9]{2})(?:[^0-9]|$)|^((?:18|19|20)[0-9]{2})[0-9]{4}$"
POSTCODES: dict[str, str] = {
    "gb": r"^(?i)[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}$",
    "ca": r"^(?i)[ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z][ -]?[0-9][ABCEGHJ-NPRSTV-Z][0-9]$",
    "nl": r"^[1-9][0-9]{3} [A-Z]{2}$",
    "pl": r"^[0-9]{2}-[0-9]{3}$",
    "pt": r"^[0-9]{4}-[0-9]{3}$",
    "jp": r"^\x{3012}?[0-9]{3}-[0-9]{4}$",
    "se": r"^[0-9]{3} [0-9]{2}$",
    "br": r"^[0-9]{5}-[0-9]{3}$",
    "us": r"^[0-9]{5}-[0-9]{4}$",
    "ie": r"^(?i)[AC-FHKNPRTV-Y][0-9]{2} [0-9AC-FHKNPRTV-Y]{4}$",
    "prefixed": r"^(?:D|DE|F|FR|CH|AT|A|B|BE|I|IT|L|LU|ES|SE|S|DK|FI|NO)-[0-9]{4,5}$",
}
POSTCODE_LOOSE = r"^(?i)[A-Z]{0,2}-?[0-9][0-9A-Z \-]{2,9}$"
ZIP = r"^[0-9]{5}(?:-[0-9]{4})?$"
ZIP_SURE = r"^0[0-9]{4}$|^[0-9]{5}-[0-9]{4}$"
OPAQUE = (
    r"^[A-Za-z]{1,8}[-_#:]?[0-9]{3,}$|^[A-Z]{2,6}(?:-[A-Z0-9]{2,12})+$"
    r"|^[0-7][0-9A-HJKMNP-TV-Z]{25}$"
    r"|^[a-z]{2,6}_[A-Za-z0-9]{8,}$"
)
ID_SIGNS = r"^[A-Za-z0-9_\-]*[0-9][A-Za-z0-9_\-]*$"
NAME_LIKE = (
    r"^[\p{L}\p{M}]"
    r"[\p{L}\p{M}'\x{2019}. ,_&\-\x{30fb}\x{b7}\x{3000}\x{ff65}\x{30fc}\x{ff70}]{0,60}$"
)
HANDLE = r"^@[A-Za-z0-9_.]{2,30}$"
USERNAME = r"^[a-z][a-z]+[._-]?[a-z]*[0-9]{0,4}$|^[a-z][\w.-]{2,29}$"
ICD10 = r"^[A-TV-Z][0-9][0-9AB](?:\.[0-9A-TV-Z]{1,4})?$"
BLOOD = r"^(?i)(?:A|B|AB|O|0)[ ]?(?:[+-]|\x{2212}|pos|neg|rh\+|rh-)$"
BASE64 = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$"
HEX = r"^(?:[0-9a-fA-F]{2}){4,}$"
PERCENT = r"%[0-9A-Fa-f]{2}"
STREET = (
    r"(?i)(?:^|[ ,])(?:st|street|ave|avenue|rd|road|blvd|boulevard|lane|ln|drive|dr"
    r"|court|ct|place|pl|square|way"
    r"|terrace|highway|hwy|parkway|pkwy|close|crescent|row|alley|trail|plaza|apt|suite"
    r"|unit|p\.? ?o\.? box)\.?(?:[ ,]|$)"
    r"|(?i)(?:stra(?:\x{df}|ss)e|str\.|weg|platz|allee|gasse|ring|damm|ufer|straat"
    r"|laan|plein|gracht|kade|dreef|singel|gatan"
    r"|v\x{e4}gen|gata|gr\x{e4}nd|vej|gade|katu|tie|veien|dijk|hof|steig|chaussee)\.? ?[0-9]"
    r"|(?i)(?:^|[0-9 ,])(?:rue|avenue|av\.|boulevard|bd|place|chemin|all\x{e9}e"
    r"|impasse|quai|route|cours|passage|calle|c/"
    r"|avenida|avda\.?|plaza|paseo|carrer|camino|callej\x{f3}n|ronda|glorieta"
    r"|urbanizaci\x{f3}n|pasaje|v\x{ed}a|via|viale|piazza|corso|vicolo|strada"
    r"|largo|borgo|contrada|rotonda|canale|incrocio|stretto|rua|av|travessa|tv\."
    r"|alameda|pra\x{e7}a|estrada|rodovia|ladeira|ul\.|ulica|aleja|al\.|pl\.|os\.|plac"
    r"|\x{6d}\x{67}\x{68}|sokak|cad\.|mah\.|\x{443}\x{43b}\.|\x{43f}\x{440}\."
    r"|\x{43f}\x{435}\x{440}\.|\x{634}\x{627}\x{631}\x{639}"
    r"|\x{637}\x{631}\x{64a}\x{642}) ?[\p{L}0-9]"
    r"|\x{4e01}\x{76ee}|\x{756a}\x{5730}"
    r"|[\x{5e02}\x{533a}\x{753a}\x{6751}\x{8857}\x{8def}].*[0-9\x{ff10}-\x{ff19}]"
    r"|\x{634}\x{627}\x{631}\x{639}|\x{646}\x{647}\x{62c}|\x{637}\x{631}\x{64a}\x{642}"
    r"|\x{62d}\x{64a} "
    r"|\x{92e}\x{93e}\x{930}\x{94d}\x{917}|\x{928}\x{917}\x{930}|\x{930}\x{94b}\x{921}"
    r"|\x{917}\x{932}\x{940}|\x{938}\x{921}\x{93c}\x{915}"
)
HOUSE_FIRST = (
    r"^[0-9]{1,5}[A-Za-z]?(?:[/-][0-9A-Za-z]{1,4})?,? +[\p{Lu}\p{Lo}][\p{L}\p{M} .'\x{2019}\-]{2,}"
)
HOUSE = (
    HOUSE_FIRST
    + r"|\p{L}[\p{L}\p{M} .'\x{2019}\-]{2,},? +[0-9]{1,4} ?[A-Za-z]?(?:[/-][0-9A-Za-z]{1,4})?$"
    r"|[0-9]{1,5}.*, .*[0-9]{4,6}"
)
RETINA = r"@[0-9]x\.(?:png|jpe?g|gif|webp|svg|avif)$"
"""A picture for screens of twice the resolution, and no address."""
SPELT = (
    r"(?i)^\S+.* ?[\[({]? ?(?:at|@) ?[\])}]? ?\S+.* ?[\[({] ?(?:dot|punkt"
    r"|point) ?[\])}] ?\w+$|(?i)^\S+ ?[\[(]at[\])] ?\S+$"
)
"""An address that is spelt out."""
IMEI = r"^(?:01|35|44|45|49|52|86|98|99)[0-9]{13}$"
LABELLED_NUMBER = r"^[A-Za-z]{2,8}[-_#][0-9]+$"
MESSAGE_ID = r"^<[\w.$+-]*[0-9]{4,}[\w.$+-]*@[\w.-]+>$"
"""Of a mail, which looks like an address."""
CLIENT_ID = r"^(?:GA1\.[0-9]\.|fb\.[0-9]\.)[0-9.]{12,}$"
DEGREES = r"^-?[0-9]{1,3}\.[0-9]{3,}$"
NAMED_ADDRESS = r"^\"?[^\"<>@]+\"? ?<[^<>@ ]+@[^<>@ ]+>$"
