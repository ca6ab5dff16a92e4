"""Closed tables of the rules: US states, countries, genders."""

from __future__ import annotations

US_STATES = dict(
    pair.split(":")
    for pair in (
        "alabama:al alaska:ak arizona:az arkansas:ar california:ca colorado:co connecticut:ct "
        "delaware:de florida:fl georgia:ga hawaii:hi idaho:id illinois:il indiana:in iowa:ia "
        "kansas:ks kentucky:ky louisiana:la maine:me maryland:md massachusetts:ma michigan:mi "
        "minnesota:mn mississippi:ms missouri:mo montana:mt nebraska:ne nevada:nv "
        "newhampshire:nh newjersey:nj newmexico:nm newyork:ny northcarolina:nc northdakota:nd "
        "ohio:oh oklahoma:ok oregon:or pennsylvania:pa rhodeisland:ri southcarolina:sc "
        "southdakota:sd tennessee:tn texas:tx utah:ut vermont:vt virginia:va washington:wa "
        "westvirginia:wv wisconsin:wi wyoming:wy districtofcolumbia:dc puertorico:pr"
    ).split()
)

COUNTRY_CODES = tuple(
    (
        "ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq "
        "br bs bt bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm "
        "do dz ec ee eg eh er es et fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs "
        "gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn "
        "kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk ml mm mn mo mp mq "
        "mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm "
        "pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st sv "
        "sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug um us uy uz va vc ve vg vi "
        "vn vu wf ws ye yt za zm zw"
    ).split()
)

COUNTRY_NAMES = dict(
    pair.split(":")
    for pair in (
        "unitedstates:us unitedstatesofamerica:us usa:us america:us unitedkingdom:gb uk:gb "
        "greatbritain:gb gbr:gb england:gb germany:de deutschland:de deu:de france:fr fra:fr "
        "spain:es españa:es esp:es italy:it italia:it ita:it netherlands:nl thenetherlands:nl "
        "holland:nl nederland:nl nld:nl belgium:be belgique:be belgië:be bel:be austria:at "
        "österreich:at aut:at switzerland:ch schweiz:ch suisse:ch svizzera:ch che:ch sweden:se "
        "sverige:se swe:se norway:no norge:no nor:no denmark:dk danmark:dk dnk:dk finland:fi "
        "suomi:fi fin:fi iceland:is ireland:ie irl:ie portugal:pt prt:pt poland:pl polska:pl "
        "pol:pl czechia:cz czechrepublic:cz cze:cz slovakia:sk slovenia:si hungary:hu romania:ro "
        "bulgaria:bg greece:gr croatia:hr serbia:rs estonia:ee latvia:lv lithuania:lt "
        "luxembourg:lu malta:mt cyprus:cy turkey:tr türkiye:tr ukraine:ua russia:ru "
        "russianfederation:ru canada:ca can:ca mexico:mx méxico:mx mex:mx brazil:br brasil:br "
        "bra:br argentina:ar chile:cl colombia:co peru:pe perú:pe uruguay:uy venezuela:ve "
        "ecuador:ec australia:au aus:au newzealand:nz nzl:nz japan:jp jpn:jp 日本:jp china:cn "
        "chn:cn 中国:cn india:in ind:in southkorea:kr korea:kr republicofkorea:kr kor:kr "
        "singapore:sg sgp:sg malaysia:my indonesia:id thailand:th vietnam:vn philippines:ph "
        "pakistan:pk bangladesh:bd srilanka:lk hongkong:hk taiwan:tw israel:il egypt:eg "
        "saudiarabia:sa unitedarabemirates:ae uae:ae are:ae qatar:qa kuwait:kw jordan:jo "
        "lebanon:lb morocco:ma maroc:ma algeria:dz tunisia:tn southafrica:za zaf:za nigeria:ng "
        "kenya:ke ghana:gh ethiopia:et"
    ).split()
)

GENDERS = dict(
    pair.split(":") for pair in "f:f female:f woman:f girl:f m:m male:m man:m boy:m".split()
)
# Where a platform knows a third one.
NO_GENDER = {"n": "n", "nonbinary": "n", "non-binary": "n"}
