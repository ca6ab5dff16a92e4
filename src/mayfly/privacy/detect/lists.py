"""Closed lists of what values of some classes can be, folded, in many languages."""

from __future__ import annotations

_MALE = """m male man h homme masculin masculino hombre maschio uomo maschile mannlich mann
    herr homem
    man mand mezczyzna meski k pria erkek muz ذكر पुरुष 男 男性 남 мужской mr sr. heer""".split()
_FEMALE = """f female woman w femme feminin femenino mujer femmina donna femminile weiblich
    frau mulher
    feminino vrouw v kvinna kvinde kobieta zenski wanita kadin zena
    أنثى महिला स्त्री 女 女性 여 женский
    mrs ms miss mme mlle sra. d""".split()
_NEITHER = """u x o d n other unknown divers diverse nonbinary non-binary nb n/a na none otro
    autre outro
    altro anders andere annat inne inny onbekend inconnu desconocido unbekannt nieznane
    prefer not to say その他 غير محدد अन्य nicht angegeben diverso""".split()
GENDERS = frozenset(
    [*_MALE, *_FEMALE, *_NEITHER, "prefer not to say", "غير محدد", "nicht angegeben"]
)
MALE = frozenset(_MALE)
FEMALE = frozenset(_FEMALE)
SPECIAL = frozenset(
    """christian catholic protestant muslim islam jewish jew judaism hindu hinduism buddhist
    buddhism sikh sikhism atheist agnostic orthodox mormon christianity lutheran anglican
    evangelical
    baptist methodist catholique protestante musulman juif athee catolico musulmane katholisch
    evangelisch muslimisch judisch rooms-katholiek heterosexual homosexual bisexual gay lesbian
    asexual
    pansexual straight queer heterosexuell homosexuell bisexuell heterosexuel homosexuel caucasian
    hispanic latino african-american asian white black mixed roma arab conservative labour democrat
    republican socialist communist libertarian liberal green diabetes asthma cancer hypertension
    depression epilepsy arthritis migraine hiv anxiety allergy obesity diabete asthme cancer
    hypertonie krebs depressionen hepatitis tuberculosis pregnant penicillin peanuts gluten lactose
    insulin metformin wheelchair blind deaf adhd autism bipolar schizophrenia dementia alzheimer
    キリスト教 仏教 神道 イスラム教 مسلم مسيحي हिन्दू मुस्लिम ईसाई सिख हिंदू""".split()
) | {
    "type 2 diabetes",
    "type 1 diabetes",
    "roman catholic",
    "african american",
    "high blood pressure",
}
TELLING = frozenset(
    """catholic protestant muslim islam islamic jewish judaism hindu hinduism buddhist buddhism sikh
    sikhism atheist agnostic mormon lutheran anglican evangelical baptist methodist catholique
    musulman musulmane juif juive katholisch evangelisch muslimisch judisch katholiek islamitisch
    cattolico musulmano ebreo catolico judio katolik muzulmanin katolicka heterosexual homosexual
    bisexual gay lesbian asexual pansexual queer heterosexuell homosexuell bisexuell hetero
    caucasian hispanic latino latina african pakistani bangladeshi arab romani roma indigenous
    aboriginal maori inuit diabetes asthma cancer hypertension depression epilepsy arthritis
    migraine hiv aids anxiety allergy obesity diabete asthme krebs brustkrebs hypertonie
    depressionen epilepsie hepatitis tuberculosis pregnant penicillin insulin metformin adhd autism
    bipolar schizophrenia dementia alzheimer parkinson leukemia pneumonia stroke copd psoriasis
    sclerosis anemia anorexia bulimia cirrhosis diabetico hipertension asma cancro tumore
    depressione ipertensione epilessia emicrania depressao hipertensao cukrzyca nadcisnienie
    depresja nowotwor astma kanker depressie hoge-bloeddruk schizofrenie schizophrenie cancerul
    schizofrenia hypertoni brostcancer""".split()
)
YES_NO = frozenset(
    """true false yes no y n t f 0 1 on off oui non ja nein si sim nao nee tak nie nej はい いいえ
    نعم لا हाँ नहीं enabled disabled active inactive""".split()
)
TITLES = frozenset(
    """mr mrs ms miss dr prof mme mlle m herr frau sr sra srta sig sigra dott dhr mevr pan pani
    fru hr
    ing mx rev sir dipl jr iii ii iv phd md mag""".split()
)
