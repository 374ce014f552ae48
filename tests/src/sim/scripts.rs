//! What names are made of, in many scripts.

/// First names, and the beginnings and endings of surnames, of one script.
pub(super) struct Script {
    /// How many of sixteen people have such a name.
    pub(super) share: u64,
    pub(super) first: &'static [&'static str],
    pub(super) head: &'static [&'static str],
    pub(super) tail: &'static [&'static str],
}

/// All scripts but the one of [`super::names::extraordinary`]; their shares add up to fifteen.
pub(super) const SCRIPTS: &[Script] = &[
    Script {
        share: 6,
        first: &[
            "Ludo", "Max", "Anna", "Tom", "Peter", "Marco", "Lucas", "Emma", "John", "Mike", "Chris", "Paul", "Kevin",
            "Laura", "Stefan", "Daniel", "Ryan", "Alex", "Nico", "Felix", "Sam", "Ben", "Oliver", "Jean-Luc", "ali",
        ],
        head: &[
            "Flen", "Schu", "Hart", "Mar", "Ro", "Van der ", "Kel", "Mc", "Bren", "Wal", "De ", "O'", "Lin", "Bau",
            "Sim", "Tor", "Gar", "Ham", "Per", "Dou",
        ],
        tail: &[
            "der", "mann", "ley", "tini", "ssen", "berg", "son", "kins", "ner", "ter", "ham", "bert", "ford", "wood",
            "ing", "ez", "stad", "low", "ridge", "veld",
        ],
    },
    Script {
        share: 2,
        first: &[
            "Kimi",
            "Jürgen",
            "Søren",
            "Åke",
            "François",
            "José",
            "Łukasz",
            "Zoë",
            "Jiří",
            "Ana-Lucía",
            "Håkon",
            "Märta",
            "Ștefan",
            "Gergő",
            "Þór",
            "Nikolína",
        ],
        head: &["Räi", "Mül", "Gøt", "Dvo", "Kö", "Peñ", "Brå", "Wró", "Straß", "Žiž", "Hø", "Ça"],
        tail: &["kkönen", "ler", "sæter", "řák", "nig", "alver", "ten", "blewski", "ner", "ka", "jgård", "val"],
    },
    Script {
        share: 1,
        first: &["Иван", "Сергей", "Ольга", "Дмитрий", "Ёлка", "Михаил", "Їван", "Ђорђе", "Анна", "Пётр"],
        head: &["Петр", "Кузнец", "Шевч", "Соловь", "Щерб", "Волк", "Милош", "Юрь"],
        tail: &["ов", "енко", "ёв", "аков", "евић", "ин", "ская", "ук"],
    },
    Script {
        share: 1,
        first: &["Γιώργος", "Ελένη", "Νίκος", "Οδυσσέας", "Μαρία", "Ἀχιλλεύς", "Σπύρος", "Χρήστος"],
        head: &["Παπαδ", "Κωνσταντ", "Μακρ", "Σταυρ", "Οικονομ", "Αλεξ"],
        tail: &["όπουλος", "ίδης", "άκης", "ιάδης", "όγλους", "άτος"],
    },
    Script {
        share: 1,
        first: &["İbrahim", "Işıl", "Çağrı", "İsmail", "Şükrü", "Oğuz", "Ayşe", "ilhan", "Ilgaz", "Ümit"],
        head: &["Yıl", "Öz", "İn", "Kılı", "Işı", "Gün", "Şim", "Doğ"],
        tail: &["dız", "türk", "önü", "ç", "k", "eş", "şek", "an"],
    },
    Script {
        share: 1,
        first: &["伟", "芳", "秀英", "さくら", "翔太", "タロウ", "陽菜", "大輔", "𠮷", "怡君"],
        head: &["王", "李", "张", "佐藤 ", "鈴木 ", "高橋 ", "歐陽", "スズキ・"],
        tail: &["明", "强", "子", "郎", "龍", "美", "ーン", "々"],
    },
    Script {
        share: 1,
        first: &["민준", "서연", "지후", "하은", "도윤", "예은"],
        head: &["김", "이", "박", "최", "정", "강"],
        tail: &["수", "영", "호", "진", "철", "희"],
    },
    Script {
        share: 1,
        first: &["محمد", "فاطمة", "أحمد", "خالد", "علی", "مریم", "یوسف", "ليلى"],
        head: &["ال", "بن ", "عبد ال", "ابو "],
        tail: &["رحمن", "حسن", "خطيب", "مصري", "نجار", "كريم", "هاشمي", "سيد"],
    },
    Script {
        share: 1,
        first: &["משה", "רחל", "יוסף", "נועה", "דוד", "שִׁירָה"],
        head: &["כה", "לו", "בן־", "גול", "פרי", "רוזנ"],
        tail: &["ן", "י", "דברג", "דמן", "בוים", "צקי"],
    },
];
