"""Words that no sentence for people at a counter may hold: they blame."""

import re

#: Words that lay the fault at somebody's door, in both languages.
BLAME = re.compile(
    r"\b(anda|kamu|salah(mu|nya)?|kesalahan|keliru|lupa|lalai|curang|menipu|penipuan|melanggar"
    r"|pelanggaran|menyalahgunakan|mencurigakan|tersangka|bohong|ilegal|hukuman|meninggal"
    r"|you|your|fault|mistake|wrong|incorrect|forgot|forgotten|careless|cheat\w*|fraud\w*"
    r"|violat\w*|abus\w*|misus\w*|suspicious|suspect\w*|illegal|guilty|punish\w*|deceased|dead)\b",
    re.IGNORECASE,
)
