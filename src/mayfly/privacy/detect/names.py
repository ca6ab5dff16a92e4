"""What the name of a column says of it, in the languages that people name columns in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from mayfly.domain.classes import ColumnClass
from mayfly.privacy.detect.words import words_of
from mayfly.privacy.guard.phones import WORDS

# A line for each class. Phrases are whole words in a row; several words are joined by a hyphen.
_PHRASES: dict[ColumnClass, str] = {
    "email": """email emails e-mail mail courriel correo correo-electronico mejl epost e-post
        eposta adresse-mail poczta emailadresse mailadresse mel mailaddr eml""",
    "phone": """denwa a-number b-number calling-number called-number caller callee telnr cellulare
        phonenumber contact-number numero-telephone numtel rufnummer puhelin hp-number
        mobilnummer fon telemovel""",
    "first_name": """first-name firstname fname given-name givenname forename prenom vorname nombre
        nombre-pila primer-nombre nome-proprio primeiro-nome voornaam imie fornamn first
        given fnm fnme middle-name mname second-name isim ad fornavn etunimi vn""",
    "last_name": """last-name lastname lname lnm lnme surname family-name familyname maiden-name nom
        nom-famille nachname familienname apellido apellidos primer-apellido cognome sobrenome
        apelido ultimo-nome achternaam nazwisko efternamn soyad soyadi etternavn sukunimi
        geburtsname nom-naissance nn""",
    "full_name": """shimei namae pax-name lead-pax pax nombre-y-apellidos full-name
        fullname name customer-name client-name contact-name person-name
        nom-complet nom-prenom nombre-completo nome-completo naam volledige-naam nominativo
        nazwa-klienta imie-nazwisko namn fullstandigt-namn vollname cust-nm cardholder
        account-holder
        recipient recipient-name kontoinhaber titulaire titular intestatario patient-name
        employee-name beneficiary nm kunde-name ansprechpartner""",
    "street_address": """address addr street strasse str adresse rue direccion domicilio calle
        indirizzo via endereco rua morada adres straat ulica adress gata gatuadress street-address
        address-line address1 address2 addr1 addr2 anschrift line1 shipping-address
        billing-address logradouro sokak cadde osoite postal-address home-address strasse-nr""",
    "city": """poblacion city town ville stadt ort ciudad localidad citta comune cidade
        localidade stad plaats
        woonplaats miasto miejscowosc ort commune municipality sehir kommune wohnort municipio
        locality postort""",
    "postal_code": """zip zipcode zip-code postal-code postcode postalcode post-code plz
    postleitzahl
        code-postal codepostal cp codigo-postal cap codice-postale cep codigo-postal kod-pocztowy
        postnummer postnr posta-kodu pincode pin-code postal pc""",
    "region": """region state province county departement bundesland kanton land-region provincia
        estado regione provincie wojewodztwo lan prefecture canton comunidad comunidad-autonoma
        distrito voivodeship state-code province-code gewest""",
    "country": """country pays land pais paese kraj country-code countrycode country-iso iso-country
        nation nationalite nationality staat ulke nationalitat nacionalidad nazionalita""",
    "date_of_birth": """dob date-of-birth birth-date birthdate birthday bday born born-on birth-year
        year-of-birth date-naissance naissance ddn geburtsdatum geburtstag gebdat geb-datum
        fecha-nacimiento nacimiento fecha-nac data-nascita nascita data-nascimento nascimento
        geboortedatum geb-dat data-urodzenia urodzenia fodelsedatum fodelsedag dogum-tarihi gebdatum
        annee-naissance jahrgang fodselsdato dt-nasc""",
    "gender": """gender sex sexe genre geschlecht genero sexo genere sesso geslacht plec kon
    cinsiyet
        kjonn salutation anrede civilite""",
    "national_id": """ssn ni-num tax-no tax-number nat-id id-no social-security
        social-security-number national-id nationalid passport
        passport-number passeport reisepass nino national-insurance tax-id taxid tin steuer-id
        steueridentifikationsnummer nir numero-securite-sociale num-secu nss dni nie nif
        codice-fiscale
        cod-fiscale cf cpf rg bsn burgerservicenummer pesel personnummer aadhaar aadhar pan-number
        driver-license drivers-license fuhrerschein identity-number id-card idcard personalausweis
        ausweisnummer id-number curp rut ahv ahv-nr avs niss rijksregisternummer tckn tc-kimlik
        emirates-id iqama hetu sin medicare-number nhs-number svnr sozialversicherungsnummer
        personal-number document-number dowod nr-dowodu sv-nummer insurance-number vat-personal""",
    "iban": "iban bank-account account-iban kontonummer compte-bancaire",
    "credit_card": """credit-card creditcard cc-number ccnum card-number cardnumber card-no pan
        carte-bancaire kreditkarte numero-tarjeta tarjeta carta-credito kreditkartennummer
        cc-num kartennummer cartao""",
    "ip_address": """ip ip-address ipaddress ip-addr remote-addr client-ip ipv4 ipv6 src-ip
        adresse-ip""",
    "device_id": """device-id deviceid idfa gaid aaid adid advertising-id maid idfv imei mac
        mac-address android-id device-identifier udid gps-adid device hwid imsi rida
       """,
    "user_agent": "user-agent useragent ua browser-agent http-user-agent",
    "geo": """lat latitude lon lng longitude geo latlng lat-lng latlon coordinates coords geohash
        geolocation gps location-point breitengrad laengengrad langengrad geom geo-point latitud
        longitud latitudine longitudine""",
    "username": """user usr uname usnam remote-user committer created-by updated-by
        modified-by username user-name login userid-login nickname nick screen-name handle
        benutzername pseudo identifiant usuario nome-utente gebruikersnaam uzytkownik login-name
        twitter instagram twitter-handle anvandarnamn kullanici-adi usr-name skype telegram
        user-handle nutzername gamertag alias utente""",
    "special": """vote meds criminal-record criminal conviction medicine medicamento
        medicament religion ethn relig dx diag religious faith konfession confesion religione
        religiao geloof wyznanie
        ethnicity ethnic race ethnie etnia rasse political-party politics political political-views
        party-affiliation political-affiliation sexual-orientation orientation-sexuelle
        sexual-preference health diagnosis diagnose diagnostic diagnostico diagnosi diagnoza disease
        illness medical medical-condition health-condition medication disability handicap blood-type
        blood-group blutgruppe groupe-sanguin allergy allergies allergien union-member trade-union
        union-membership gewerkschaft syndicat biometric fingerprint-template genetic dna hiv
        pregnancy pregnant is-pregnant icd icd10 icd-code krankheit grupo-sanguineo
        orientacion-sexual
        schwerbehindert krankenstand parti-politique religia choroba sjukdom religie mental-health
        salud gesundheit sante treatment prescription child-name child-dob religionszugehorigkeit
        condition vaccination vaccinated smoker bmi symptoms""",
    "free_text_pii": """comment comments note notes message body bio description-free remark remarks
        feedback kommentar bemerkung notiz notizen commentaire commentaires remarque nota notas
        observaciones comentario commento osservazioni observacoes opmerking opmerkingen notitie
        uwagi komentarz notatki anteckning anteckningar nachricht mensaje messaggio ticket-text
        transcript rmk rmks notlar aciklama aciklamalar""",
    "url_pii": "profile-url linkedin linkedin-url facebook-url referrer landing-page url page-url",
    "opaque_id": """id ids uid guid key pk fk ref code nr no num sku uuid identifier identifiant-id
        number numero nummer customer-id user-id order-id external-id token session hash""",
}
# Parts of a name written as one: of at least six letters, or in a script without words.
_STEMS: dict[ColumnClass, str] = {
    "email": "emailadd mailadres emailid メール البريد ईमेल 邮箱 邮件 이메일 почт пошт",
    "phone": """phonen telefonn telephon mobilephone mobilenum telefon mobilnum telnum
        電話 携帯 هاتف جوال फोन फ़ोन मोबाइल दूरभाष 电话 手机 전화 телефон""",
    "first_name": "firstname givenname vorname prenom الاسمالأول 名前 पहलानाम प्रथमनाम 名字 имя",
    "last_name": "lastname surname nachname familyname اسمالعائلة اللقب 苗字 उपनाम 姓氏 фамилия",
    "full_name": """社員名 担当医 フリガナ ふりがな カナ 成約者 fullname nomcomplet nombrecompleto
        vollstandigername
        氏名 お名前 الاسم नाम 姓名 이름 фио""",
    "street_address": """streetaddr addressline strassen lieferadresse rechnungsadresse postadresse
        住所 番地 العنوان عنوان पता 地址 주소 адрес""",
    "city": "cityname wohnort 市区町村 都市 المدينة مدينة शहर 城市 도시 город",
    "postal_code": """postleitz postalcode zipcode codepostal codigopostal 郵便番号
        الرمزالبريدي पिनकोड पिन 邮编 индекс""",
    "region": "bundesland 都道府県 المنطقة राज्य 省份 область",
    "country": "countrycode 国名 国籍 الدولة البلد देश 国家 страна",
    "date_of_birth": """birthd dateofb geburtsd geburtst datenaiss fechanac datanasc datadinasc
        geboorted fodelsed 生年月日 誕生日 تاريخالميلاد जन्मतिथि जन्म 出生 生日 생년월일 рожд""",
    "gender": "geschlecht 性別 性别 الجنس लिंग 성별 пол",
    "national_id": """socialsecur passport nationalid taxident sozialversich personnummer
        マイナンバー 身份证 رقمالهوية الهوية आधार पासपोर्ट паспорт""",
    "credit_card": "creditcard kreditkart cardnumber カード番号 بطاقة",
    "ip_address": "ipaddress ipadresse",
    "user_agent": "useragent",
    "username": "username benutzername ユーザー名 اسمالمستخدم उपयोगकर्ता 用户名",
    "special": "religio diagnos ethnic gesundheit krankh 宗教 病歴 診断 الديانة धर्म 宗教",
    "free_text_pii": "freitext freetext commentaire kommentar 備考 ملاحظات टिप्पणी 备注",
}
# Words beside one of the above that make something else of it.
_OTHERS = frozenset(
    """verified opt optin optout consent count type status flag is has template domain provider
    hash hashed at updated created date time ts valid invalid bounced subscribed enabled length
    len score rate tax fee currency market language lang locale version model brand make price
    total sum avg max min percent pct segment list sent open click clicked opened format rule
    product company org organization organisation file event campaign category host table column
    app channel page group team department store shop site server class object project plan
    job task queue topic bucket image color colour size unit item artikel produkt firma entreprise
    empresa azienda bedrijf marke kampagne device os browser source medium preferred preference
    frequency quality reason zone revenue sales spend cost costs budget amount balance orders visits
    sessions usage minutes seconds share ratio conversion umsatz betrag""".split()
)
_NAMED_BY = frozenset(
    """product company org organization organisation file event campaign category host table column
    app channel page group team department store shop site server class object project plan brand
    model job task queue topic bucket image color colour item artikel produkt firma entreprise
    empresa azienda bedrijf marke kampagne os browser medium domain template list segment supplier
    vendor merchant course track song film movie game pet hotel restaurant warehouse feature metric
    step status type role tag label section field variable parameter function program programme
    school university airport station ship vessel plant drug ingredient""".split()
)
_NO_IDS: frozenset[ColumnClass | None] = frozenset(
    {"phone", "city", "region", "country", "street_address", "postal_code", "full_name"}
)
_OF_SPECIAL = frozenset({"type", "group", "status", "preference", "preferred", "list"})
_OF_PERSONS = frozenset(
    """full complete whole display legal real birth person people customer client clients contact
    user users member patient employee staff lead subscriber account holder owner recipient sender
    buyer seller guest passenger student teacher driver author agent manager doctor applicant donor
    attendee beneficiary cust cardholder billing shipping ship bill to usr emp friend parent child
    spouse partner kunde kunden emergency first last mr mrs deliver delivery insured payer payee
    father mother husband wife son daughter guardian nominee kin relative household pax lead
    signatory tenant visitor player voter witness rep""".split()
)
# An e-mail address is one before it is an address, and a customer's id an id before it is a name.
_WEIGHT: dict[ColumnClass, int] = {
    "opaque_id": 0,
    "street_address": 1,
    "full_name": 1,
    "region": 1,
    "free_text_pii": 1,
    "url_pii": 1,
}


@dataclass(frozen=True, kw_only=True)
class NameVote:
    """What a name says.

    Args:
        cls: the class, None where it says nothing.
        words: of the name.
        qualified: whether it speaks of something about the value (`email_verified`), or of the
            name of a thing (`product_name`).
    """

    cls: ColumnClass | None
    words: tuple[str, ...]
    qualified: bool = False


@cache
def _phrases() -> dict[tuple[str, ...], ColumnClass]:
    # The guard's words for telephones are the same words.
    found: dict[tuple[str, ...], ColumnClass] = {tuple(words_of(w)): "phone" for w in WORDS}
    for cls, text in _PHRASES.items():
        for phrase in text.split():
            found.setdefault(tuple(phrase.split("-")), cls)
    return found


@cache
def _stems() -> tuple[tuple[str, ColumnClass], ...]:
    pairs = [(stem, cls) for cls, text in _STEMS.items() for stem in text.split()]
    return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))


def name_vote(name: str) -> NameVote:
    """What a column's name says: the most specific phrase, then the longest, then the last."""
    words = tuple(w.rstrip("0123456789") or w for w in words_of(name))
    spans = {
        (start, end): cls
        for start in range(len(words))
        for end in range(start + 1, len(words) + 1)
        if (cls := _phrases().get(words[start:end])) is not None
    }
    whole = [
        (_WEIGHT.get(cls, 2), sum(map(len, words[start:end])), start, cls)
        for (start, end), cls in spans.items()
        if not any((a <= start and end <= b) and (a, b) != (start, end) for a, b in spans)
    ]
    cls = max(whole)[3] if whole else None
    if cls in (None, "opaque_id"):
        squashed = "".join(words)
        found = next((c for stem, c in _stems() if stem in squashed), None)
        cls = found or cls
    if cls == "username" and "id" in words:
        cls = "opaque_id"
    if cls in _NO_IDS and "id" in words:
        return NameVote(cls=cls, words=words, qualified=True)
    things = _NAMED_BY if cls in ("full_name", "username", "first_name", "last_name") else _OTHERS
    if cls == "special":
        things = things - _OF_SPECIAL
    qualified = bool(things & set(words)) or (cls == "full_name" and _of_a_thing(words))
    return NameVote(cls=cls, words=words, qualified=qualified)


def _of_a_thing(words: tuple[str, ...]) -> bool:
    """Whether `name` stands beside a word that is none for a person: `paint_name`."""
    beside = {word for word in words if not word.isdigit()} - {"name", "names", "nm"}
    return "name" in words and bool(beside) and not beside & _OF_PERSONS
