"""What a column of a receivables book can mean, and by which names programs and people call it."""

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Meaning(StrEnum):
    """What a column can mean to us."""

    CLIENT_ID = "client_id"
    INVOICE_ID = "invoice_id"
    RECORDED_ON = "recorded_on"
    ISSUED_ON = "issued_on"
    DUE_ON = "due_on"
    TERMS_DAYS = "terms_days"
    AMOUNT = "amount"
    CREDIT = "credit"
    CURRENCY = "currency"
    SETTLED_ON = "settled_on"
    DAYS_TO_SETTLE = "days_to_settle"
    DAYS_LATE = "days_late"
    SETTLED = "settled"
    OUTSTANDING = "outstanding"
    KIND = "kind"
    STATUS = "status"
    SIDE = "side"
    DISPUTED = "disputed"
    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    COUNTRY = "country"
    TIMEZONE = "timezone"
    METHOD = "method"
    SERVICE_LINE = "service_line"


DATES: Final = (Meaning.RECORDED_ON, Meaning.ISSUED_ON, Meaning.DUE_ON, Meaning.SETTLED_ON)
AMOUNTS: Final = (Meaning.AMOUNT, Meaning.CREDIT, Meaning.SETTLED, Meaning.OUTSTANDING)
NUMBERS: Final = (Meaning.DAYS_TO_SETTLE, Meaning.DAYS_LATE)
REQUIRED: Final = (Meaning.CLIENT_ID, Meaning.ISSUED_ON, Meaning.AMOUNT)


def letters(name: str) -> str:
    """Return letters and digits in lower case, accents left out: "N° Numéro" and "numero" are one word to a reader."""
    bare = "".join(mark for mark in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(mark))
    bare = bare.replace("ł", "l").replace("ø", "o").replace("ß", "ss")
    return re.sub(r"[\W_]+", "", bare)


# In order of preference. Whole names come first; a name that merely contains one of them counts less (see `columns.guess`).
# The short capital ones are the field names of customer line items in SAP (BSID, BSAD) and of German accounting exports.
NAMES: Final[Mapping[Meaning, tuple[str, ...]]] = {
    meaning: tuple(letters(name) for name in names.split())
    for meaning, names in (
        (
            Meaning.CLIENT_ID,
            (
                "clientid customerid customernumber custnumber customerno clientnumber customercode clientcode customerkey "
                "custid accountid accountnumber accountref debtorid debtornumber debtor contactid partnerid payerid partyid "
                "kundennummer kundennr kundenr numeroclient codeclient idcliente codigocliente codicecliente klantnummer "
                "nrklienta kunnr buyerid companyid customer client kunde klant cliente kontrahent account party payer buyer "
                "businesspartner partner contact vendorname customername clientname contactname companyname billto soldto "
                "debtorname accountname partnername billtocustomer billtocustomername customeraccount vendornumber vendorid "
                "kundnummer kundenummer kundeid kundenavn debiteur debiteurnummer debiteurnr relatie relatienummer codetiers "
                "numerotiers comptetiers tiers nifcliente nif cif cnpj odberatel zakaznik vevo vevokod ugyfel asiakas "
                "asiakasnumero musteri musterikodu carikod cariadi cari custref clientref customerref kontragent "
                "vendor supplierid suppliername supplier debitorennummer debitornummer debitor kontonummer kontakt kundnr "
                "kundnamn klient nabywca odbiorca custno cust konto particulars partyname 顧客id 顧客コード 顧客番号 "
                "顧客名 顧客 取引先コード 取引先名 取引先 得意先コード 得意先名 得意先 客户编号 客户名称 客户 "
                "debtorcode e1cliente kupac πελατης контрагент покупатель клиент 거래처 고객"
            ),
        ),
        (
            Meaning.INVOICE_ID,
            (
                "invoiceid invoicenumber invoiceno invoicenr invoicenum invoice documentnumber documentno documentid docid "
                "billnumber billid billno rechnungsnummer rechnungsnr rechnung belegnummer belegnr belegfeld1 belnr "
                "numerofacture nofacture facture numerofactura factura numerofattura fattura factuurnummer numerfaktury "
                "docnumber transactionnumber transactionid trxnumber fakturanr fakturanummer nrfaktury nofatura numerofatura "
                "invno invnum invnumber inv voucherno vouchernumber reference invoiceref invoicereference ref number numero "
                "bilagsnummer bilagsnr bilag numpiece numeropiece nopiece piece notafiscal nfe cislofaktury cislodokladu "
                "szamlaszam szamlasorszam laskunumero laskunro lasku faturano faturanumarasi fatura beleg docno factuur "
                "numer num no nr id 請求書番号 請求番号 发票号码 发票号 发票编号 "
                "nofra numfra ndoc numdoc journalentry nf e1num brojracuna τιμολογιο "
                "αριθμοςτιμολογιου αρτιμολογιου номерсчета номердокумента 청구서번호 계산서번호"
            ),
        ),
        (
            Meaning.RECORDED_ON,
            (
                "createdat created createdon createddate datecreated entrydate recordedon receiveddate postingdate postedon "
                "entered budat cpudt buchungsdatum"
            ),
        ),
        (
            Meaning.ISSUED_ON,
            (
                "invoicedate issuedate issuedon issuedat documentdate documentcreatedate docdate billdate billingdate "
                "dateofinvoice invoicebilldate invoicecreateddate invoicedt rechnungsdatum belegdatum bldat datefacture "
                "datedefacture datefacturation fechafactura fechaemision fechadeemision datafattura datafaktury datawystawienia "
                "factuurdatum dateissued transactiondate txndate baselinecreatedate issued date datum fecha data dateutc "
                "fakturadato fakturadatum bilagsdato datepiece dateemission datedemission fechaexpedicion fechadeexpedicion "
                "datadocumento dataemissione datadeemissao dataemissao ausgestelltam datumvystaveni vystaveno szamlakelte kelt "
                "kiallitasdatuma dataemiterii laskunpaiva laskunpaivays faturatarihi dato raisedon raised dateraised "
                "createdutc 請求日 請求書日付 発行日 开票日期 发票日期 "
                "datumracuna ημερομηνιαεκδοσης датасчета датадокумента датавыставления 청구일 발행일"
            ),
        ),
        (
            Meaning.DUE_ON,
            (
                "duedate dueon dueat dueindate dateDue paymentdue paymentduedate netduedate duedt duedateutc invoiceduedate "
                "maturitydate faelligkeit fälligkeit faelligam fälligam fälligkeitsdatum nettofaelligkeit netdt faedt "
                "echeance échéance datedecheance dateecheance vencimiento fechavencimiento fechadevencimiento scadenza "
                "datascadenza vervaldatum terminplatnosci due 支払期限 支払期日 "
                "forfaldsdato forfallsdato forfallodatum betalingsfrist zahlungsfrist zahlbarbis faelligzum datelimite "
                "datelimitedepaiement fechalimitedepago paymentdeadline deadline payby payableby datumsplatnosti splatnost "
                "fizetesihatarido hatarido esedekesseg scadenta erapaiva vadetarihi vade sonodemetarihi "
                "到期日期 到期日 "
                "datumdospijeca rokplacanja ημερομηνιαληξης срокоплаты оплатитьдо 만기일 지급기한"
            ),
        ),
        (
            Meaning.TERMS_DAYS,
            (
                "termsdays paymenttermsdays paymentterms paymentterm terms term custpaymentterms creditterms creditdays netdays "
                "zahlungsziel zahlungsbedingung zahlungsbedingungen zterm zbd1t conditionsdepaiement delaidepaiement"
            ),
        ),
        (
            Meaning.AMOUNT,
            (
                "amount invoiceamount totalamount amounttotal invoicetotal grossamount amountgross amountinvoiced "
                "originalamount invoicevalue totalopenamount total totalsigned grandtotal lineamount betrag bruttobetrag brutto "
                "rechnungsbetrag umsatz wrbtr dmbtr betragsoll montantttc totalttc montant importetotal importe importo "
                "totale valor totaalbedrag bedrag kwotabrutto kwota belopp amountdueoriginal gross amountdue amt invamt "
                "invoiceamt amountinv value sum debit linetotal soll umsatzsoll belob belop fakturabelob summa summe castka "
                "celkem osszeg bruttoosszeg vegosszeg valoare suma tutar toplamtutar totaal valortotal "
                "請求金額 金額 金额 发票金额 "
                "iznos ποσο сумма 금액 청구금액"
            ),
        ),
        (Meaning.CREDIT, "credit credits creditamount haben betraghaben habenbetrag umsatzhaben haber avere"),
        (
            Meaning.CURRENCY,
            (
                "currency currencycode invoicecurrency transactioncurrency waers währung waehrung devise moneda valuta waluta "
                "ccy iso4217 curr moeda mena penznem parabirimi valuutta"
            ),
        ),
        (
            Meaning.SETTLED_ON,
            (
                "settleddate settledon settledat settlementdate paiddate paidon paidat datepaid paidatutc paymentdate "
                "dateofpayment actualpaymentdate fullypaidondate fullypaiddate datefullypaid lastpaymentdate lastpaymenton "
                "paymentreceiveddate datepaymentreceived cleardate cleareddate clearingdate augdt ausgleichsdatum closeddate "
                "dateclosed collectiondate receiptdate zahlungsdatum zahlungseingang bezahltam datepaiement datedepaiement "
                "datereglement datedereglement fechapago fechadepago fechacobro datapagamento betaaldatum datazaplaty "
                "paymentreceived paymentdt datereceived pymtdt receivedon remitted betaltdato betalingsdato datumuhrady "
                "uhrazeno fizetesdatuma fizetve dataplatii maksupaiva maksettu odemetarihi datadorecebimento datarecebimento "
                "入金日 支払日 付款日期 收款日期 "
                "checkdate chequedate warrantdate datumplacanja datumuplate ημερομηνιαπληρωμης датаоплаты датаплатежа "
                "입금일 결제일"
            ),
        ),
        (
            Meaning.DAYS_TO_SETTLE,
            "daystosettle numberofdaysuntilpayment daysuntilpayment daystopay daystopayment paymentdays dayselapsed",
        ),
        (
            Meaning.DAYS_LATE,
            "dayslate daysoverdue dayspastdue delaydays paymentdelay dayslateness dayspaidlate verzugstage delay",
        ),
        (
            Meaning.SETTLED,
            (
                "settled amountpaid paidamount invoiceamountpaid amountreceived paid paymentamount settledamount totalpaid "
                "bezahlt montantpaye montantregle"
            ),
        ),
        (
            Meaning.OUTSTANDING,
            (
                "outstanding balance openbalance openamount amountopen amountresidual outstandingamount invoiceamountdue "
                "balancedue amountduesigned amountresidualsigned remaining amountremaining offen offenerbetrag solde restant "
                "restbetrag restbelob restbelop restbelopp aterstar resteapayer resteapercevoir restedu residuo daincassare "
                "e1saldo saldopendiente pendiente openstaandbedrag openstaand pozostalodozaplaty pozostalo dozaplaty zbyva"
            ),
        ),
        (
            Meaning.KIND,
            (
                "transactiontype txntype documenttype doctype documenttypecode invoicetype recordtype rowtype entrytype "
                "belegart belegtyp blart movetype vouchertype type typ kind typedocument"
            ),
        ),
        (
            Meaning.STATUS,
            (
                "status invoicestatus paymentstatus documentstatus billstatus invoicestate paymentstate belegstatus "
                "rechnungsstatus zahlungsstatus zahlstatus statut etat estado stato state stav allapot durum tila"
            ),
        ),
        (Meaning.SIDE, "shkzg debitcredit debitcreditindicator drcr crdr sollhaben sollhabenkennzeichen sh"),
        (Meaning.DISPUTED, "disputed indispute isdisputed dispute contested"),
        (
            Meaning.NAME,
            (
                "clientname customername companyname company namecustomer contactname name kundenname firma razonsocial "
                "ragionesociale"
            ),
        ),
        (Meaning.EMAIL, "email clientemail customeremail emailaddress mail contactemail"),
        (Meaning.PHONE, "phone phonenumber telephone telefon mobile"),
        (Meaning.COUNTRY, "country countrycode land pays"),
        (Meaning.TIMEZONE, "timezone tz"),
        (Meaning.METHOD, "paymentmethod method paidby zahlungsart"),
        (Meaning.SERVICE_LINE, "serviceline service practicearea department matter"),
    )
}  # fmt: skip

_DUE: Final = (
    "due", "matur", "fallig", "faellig", "echeance", "venc", "vto", "scad", "verval", "forfall", "forfald", "termin", "frist",
    "limit", "deadline", "payby", "payable", "zahlbar", "uiterst", "splatn", "hatarido", "esedek", "erapaiv", "vadetar",
    "sonodeme",
)  # fmt: skip
_PAID: Final = (
    "paid", "payment", "paydate", "paydt", "payon", "settle", "clear", "receipt", "collect", "closed", "remit", "zahl",
    "ausgleich", "beglichen", "paiement", "paye", "reglement", "regle", "encaisse", "pago", "pagad", "cobr", "incass",
    "pagament", "betaal", "betal", "zaplat", "uhrad", "uhraz", "fizet", "kiegyenl", "platii", "maksu", "maksettu", "odeme",
    "tahsil", "receb", "quitac", "acquitt", "baixa", "datapag", "dtpag", "geschlossen", "cashrec",
)  # fmt: skip
_ISSUED: Final = (
    "issue", "inv", "bill", "document", "doc", "trx", "txn", "transaction", "rechnung", "beleg", "emis", "wystaw", "factu",
    "fatt", "fatu", "faktur", "vystav", "szamla", "lasku",
)  # fmt: skip

STEMS: Final[Mapping[Meaning, tuple[str, ...]]] = {
    Meaning.DUE_ON: _DUE,
    Meaning.SETTLED_ON: _PAID,
    Meaning.ISSUED_ON: _ISSUED,
    Meaning.AMOUNT: ("amt",),
}
"""Parts of words that tell which date a column with no known name holds ("Data de Pagamento"), or that it holds amounts."""

AGAINST: Final[Mapping[Meaning, tuple[str, ...]]] = {
    Meaning.ISSUED_ON: (*_DUE, *_PAID, "dispute", "reminder"),
    Meaning.DUE_ON: ("amount", "balance", "days"),
    Meaning.SETTLED_ON: (
        *_DUE, "method", "amount", "status", "terms", "expected", "promise", "planned", "predicted", "scheduled", "estimated",
    ),
    Meaning.AMOUNT: (
        "tax", "vat", "discount", "paid", "line", "haben", "credit", "remaining", "offen", "rate", "bezahlt", "due",
        "residu", "restb", "balance",
    ),
    Meaning.INVOICE_ID: ("date", "amount", "status", "total", "type", "currency", "value"),
    Meaning.CLIENT_ID: (
        "since", "segment", "type", "country", "email", "age", "city", "phone", "rating", "group", "date", "po", "code",
        "receivable", "reste",
    ),
    Meaning.CURRENCY: ("amount", "rate"),
    Meaning.SETTLED: ("date", "status"),
    Meaning.STATUS: (
        "date", "client", "customer", "account", "dispute", "approval", "order", "project", "mail", "delivery", "credit",
    ),
}  # fmt: skip
"""Words that make it unlikely that a name which merely contains one of `NAMES` or `STEMS` means the same."""
