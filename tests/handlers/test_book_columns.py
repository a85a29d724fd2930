"""Which column means what, in the headers of exports as they are published: programs, countries, data sets."""

import csv
from typing import Final

import pytest

from handlers.commands.book.column_names import Meaning
from handlers.commands.book.columns import choose_columns
from streams.runtime.errors import UsageError

# Header, one row, and the columns of client, invoice, issue, due date, amount and payment; "-" where the file has none.
EXPORTS: Final[dict[str, tuple[str, str, str]]] = {
    "Xero, invoices with lines": (
        ("*ContactName,EmailAddress,*InvoiceNumber,Reference,*InvoiceDate,*DueDate,Total,InvoiceAmountPaid,FullyPaidOnDate,"
        "*AccountCode,Currency,Type"),
        "Ardent & Co,a@ardent.example,INV-1,x,3/02/2024,4/03/2024,120.00,120.00,28/02/2024,200,GBP,Sales invoice",
        "*ContactName,*InvoiceNumber,*InvoiceDate,*DueDate,Total,FullyPaidOnDate",
    ),
    "Dynamics, customer ledger entries": (
        ("Posting Date,Document Date,Document Type,Document No.,Customer No.,Customer Name,Original Amount,Amount,"
        "Remaining Amount,Due Date,Closed at Date,Entry No."),
        "2/3/2024,2/3/2024,Invoice,103001,10000,Ardent,120.00,120.00,0.00,3/4/2024,2/28/2024,77",
        "Customer No.,Document No.,Document Date,Due Date,Amount,Closed at Date",
    ),
    "Oracle, receivables": (
        ("BILL_TO_CUSTOMER,TRX_NUMBER,TRX_DATE,DUE_DATE,AMOUNT_DUE_ORIGINAL,AMOUNT_DUE_REMAINING,INVOICE_CURRENCY_CODE,"
        "ACTUAL_DATE_CLOSED"),
        "Ardent,5001,2024-02-03,2024-03-04,120.00,0.00,USD,2024-02-28",
        "BILL_TO_CUSTOMER,TRX_NUMBER,TRX_DATE,DUE_DATE,AMOUNT_DUE_ORIGINAL,ACTUAL_DATE_CLOSED",
    ),
    "SAP, customer line items in German": (
        ("Konto;Zuordnung;Belegnummer;Belegart;Belegdatum;Nettofälligkeit;Ausgleichsdatum;Ausgleichsbeleg;"
        "Betrag in Hauswährung;Hauswährung"),
        "10042;x;1800001;RV;03.02.2024;04.03.2024;28.02.2024;1400007;1.120,00;EUR",
        "Konto,Belegnummer,Belegdatum,Nettofälligkeit,Betrag in Hauswährung,Ausgleichsdatum",
    ),
    "DATEV, open and settled items": (
        "Kontonummer;Kontobezeichnung;Rechnungsnummer;Rechnungsdatum;Fälligkeit;Betrag Soll;Betrag Haben;Ausgleichsdatum",
        "10042;Ardent;RE-1;03.02.2024;04.03.2024;1.120,00;1.120,00;28.02.2024",
        "Kontonummer,Rechnungsnummer,Rechnungsdatum,Fälligkeit,Betrag Soll,Ausgleichsdatum",
    ),
    "Lexware": (
        "Belegtyp;Belegstatus;Belegnummer;Kontakt;Belegdatum;Fälligkeitsdatum;Währung;Bruttobetrag;Offener Betrag;Bezahlt am",
        "Rechnung;Bezahlt;RE-1;Ardent;03.02.2024;04.03.2024;EUR;120,00;0,00;28.02.2024",
        "Kontakt,Belegnummer,Belegdatum,Fälligkeitsdatum,Bruttobetrag,Bezahlt am",
    ),
    "sevDesk": (
        "Rechnungsnr.;Kunde;Kundennr.;Rechnungsdatum;Fälligkeitsdatum;Netto;Bruttobetrag;Bezahlter Betrag;Datum der Zahlung",
        "RE-1;Ardent;1001;03.02.2024;04.03.2024;100,84;120,00;120,00;28.02.2024",
        "Kundennr.,Rechnungsnr.,Rechnungsdatum,Fälligkeitsdatum,Bruttobetrag,Datum der Zahlung",
    ),
    "Swiss": (
        "Debitor;Rechnung;Datum;Fällig;Betrag CHF;Zahlung am",
        "Ardent;1;03.02.2024;04.03.2024;1'120.00;28.02.2024",
        "Debitor,Rechnung,Datum,Fällig,Betrag CHF,Zahlung am",
    ),
    "FreshBooks, lines": (
        ("Client Name,Invoice #,Date Issued,Invoice Status,Date Paid,Item Name,Rate,Quantity,Line Subtotal,Line Total,"
        "Currency"),
        "Ardent,1,2024-02-03,paid,2024-02-28,Advice,120.00,1,120.00,120.00,USD",
        "Client Name,Invoice #,Date Issued,-,Line Total,Date Paid",
    ),
    "a practice, terms in days": (
        "Client Name,Inv No,Inv Date,Terms,Invoice Value,Date of Receipt",
        "Ardent,1,03/02/2024,30 days,£120.00,28/02/2024",
        "Client Name,Inv No,Inv Date,-,Invoice Value,Date of Receipt",
    ),
    "abbreviated": (
        "cust,inv,invdate,duedate,amt,paydate",
        "C1,1,20240203,20240304,120.00,20240228",
        "cust,inv,invdate,duedate,amt,paydate",
    ),
    "a warehouse": (
        "company_id,id,invoice_dt,due_dt,amount_inv,currency,cleared_dt",
        "C1,1,2024-02-03,2024-03-04,120.00,USD,2024-02-28",
        "company_id,id,invoice_dt,due_dt,amount_inv,cleared_dt",
    ),
    "an interface": (
        "customer_id,invoice_id,created_at,due_at,amount,paid_at",
        "C1,1,2024-02-03T09:12:11.123456Z,2024-03-04T00:00:00+00:00,120.00,2024-02-28T17:00:00.000Z",
        "customer_id,invoice_id,created_at,due_at,amount,paid_at",
    ),
    "an interface that counts seconds": (
        "customer,number,created,due_date,amount_due,paid_at,currency",
        "C1,1,1706950800,1709542800,120.00,1709110800,usd",
        "customer,number,created,due_date,amount_due,paid_at",
    ),
    "bare words": (
        "Customer,Issue,Due,Paid,Value",
        "C1,2024-02-03,2024-03-04,2024-02-28,120.5",
        "Customer,-,Issue,Due,Value,Paid",
    ),
    "paid bills of a public body": (
        "Supplier Name,Invoice Number,Date of Invoice,Payment Due Date,Actual Date Paid,Expected Payment Date,Gross Amount",
        "Ardent,1,03/02/2024,04/03/2024,28/02/2024,01/03/2024,120.00",
        "Supplier Name,Invoice Number,Date of Invoice,Payment Due Date,Gross Amount,Actual Date Paid",
    ),
    "Portuguese": (
        "Cliente;Nº Fatura;Data de Emissão;Data de Vencimento;Valor;Data de Pagamento",
        "Ardent;1;03/02/2024;04/03/2024;R$ 1.120,00;28/02/2024",
        "Cliente,Nº Fatura,Data de Emissão,Data de Vencimento,Valor,Data de Pagamento",
    ),
    "Polish": (
        "Kontrahent;Nr faktury;Data wystawienia;Termin płatności;Kwota brutto;Waluta;Data zapłaty",
        "Ardent;1;2024-02-03;2024-03-04;1 120,00;PLN;2024-02-28",
        "Kontrahent,Nr faktury,Data wystawienia,Termin płatności,Kwota brutto,Data zapłaty",
    ),
    "Italian": (
        "Cliente;Numero;Data fattura;Scadenza;Totale;Data incasso;Stato",
        "Ardent;1;03/02/2024;04/03/2024;€ 1.120,00;28/02/2024;Saldata",
        "Cliente,Numero,Data fattura,Scadenza,Totale,Data incasso",
    ),
    "Spanish": (
        "Cliente;Factura;Fecha de emisión;Fecha de vencimiento;Importe total;Fecha de cobro",
        "Ardent;1;03/02/2024;04/03/2024;1.120,00 €;28/02/2024",
        "Cliente,Factura,Fecha de emisión,Fecha de vencimiento,Importe total,Fecha de cobro",
    ),
    "Dutch": (
        "Klant;Factuurnummer;Factuurdatum;Vervaldatum;Totaalbedrag;Betaald op",
        "Ardent;1;03-02-2024;04-03-2024;€ 1.120,00;28-02-2024",
        "Klant,Factuurnummer,Factuurdatum,Vervaldatum,Totaalbedrag,Betaald op",
    ),
    "Swedish": (
        "Kundnr;Kundnamn;Fakturanr;Fakturadatum;Förfallodatum;Belopp;Valuta;Betaldatum",
        "C1;Ardent;1;2024-02-03;2024-03-04;120,00;SEK;2024-02-28",
        "Kundnr,Fakturanr,Fakturadatum,Förfallodatum,Belopp,Betaldatum",
    ),
    "Danish": (
        "Kundenr;Kundenavn;Fakturanr.;Fakturadato;Forfaldsdato;Beløb;Valuta;Betalt dato;Restbeløb",
        "1;A;2;03-02-2024;04-03-2024;1.120,00;DKK;28-02-2024;0,00",
        "Kundenr,Fakturanr.,Fakturadato,Forfaldsdato,Beløb,Betalt dato",
    ),
    "Danish, a deadline": (
        "Debitor;Bilag;Dato;Betalingsfrist;Beløb i alt;Betalingsdato",
        "1;2;03-02-2024;04-03-2024;1.120,00;28-02-2024",
        "Debitor,Bilag,Dato,Betalingsfrist,Beløb i alt,Betalingsdato",
    ),
    "Norwegian": (
        "Kundenummer;Fakturanummer;Fakturadato;Forfallsdato;Beløp;Innbetalt dato;Restbeløp",
        "1;2;03.02.2024;04.03.2024;1 120,00;28.02.2024;0",
        "Kundenummer,Fakturanummer,Fakturadato,Forfallsdato,Beløp,Innbetalt dato",
    ),
    "Swedish, what is left": (
        "Kundnummer;Fakturanummer;Fakturadatum;Förfallodatum;Summa;Betalningsdatum;Återstår",
        "1;2;2024-02-03;2024-03-04;120,00;2024-02-28;0,00",
        "Kundnummer,Fakturanummer,Fakturadatum,Förfallodatum,Summa,Betalningsdatum",
    ),
    "Dutch, a debtor": (
        "Debiteur;Factuurnummer;Factuurdatum;Vervaldatum;Bedrag;Betaald op;Openstaand",
        "1;2;03-02-2024;04-03-2024;1.120,00;28-02-2024;0,00",
        "Debiteur,Factuurnummer,Factuurdatum,Vervaldatum,Bedrag,Betaald op",
    ),
    "Dutch, a deadline": (
        "Relatie;Factuur;Datum;Uiterste betaaldatum;Totaal;Betaaldatum",
        "1;2;03-02-2024;04-03-2024;1.120,00;28-02-2024",
        "Relatie,Factuur,Datum,Uiterste betaaldatum,Totaal,Betaaldatum",
    ),
    "French, fields of an accounting program": (
        "code_tiers;num_piece;date_piece;date_echeance;montant_ttc;date_reglement",
        "C1;2;2024-02-03;2024-03-04;120.00;2024-02-28",
        "code_tiers,num_piece,date_piece,date_echeance,montant_ttc,date_reglement",
    ),
    "French, what is left to pay": (
        "Tiers;N° pièce;Date d'émission;Date limite de paiement;Montant;Date d'encaissement;Reste à payer",
        "C1;2;03/02/2024;04/03/2024;1 120,00;28/02/2024;0,00",
        "Tiers,N° pièce,Date d'émission,Date limite de paiement,Montant,Date d'encaissement",
    ),
    "Spanish, tax numbers": (
        "CIF;Razón social;Nº factura;Fecha factura;Fecha vencimiento;Importe total;Fecha de cobro;Estado",
        "B1;A;2;03/02/2024;04/03/2024;1.120,00 €;28/02/2024;Cobrada",
        "CIF,Nº factura,Fecha factura,Fecha vencimiento,Importe total,Fecha de cobro",
    ),
    "Spanish, a deadline": (
        "NIF cliente;Número de factura;Fecha de expedición;Fecha límite de pago;Total;Fecha de pago;Pendiente",
        "B1;2;03/02/2024;04/03/2024;1.120,00;28/02/2024;0,00",
        "NIF cliente,Número de factura,Fecha de expedición,Fecha límite de pago,Total,Fecha de pago",
    ),
    "Portuguese, a bill and its receipt": (
        "Cliente;Nota Fiscal;Data de Emissão;Vencimento;Valor Total;Data de Recebimento",
        "A;NF1;03/02/2024;04/03/2024;1.120,00;28/02/2024",
        "Cliente,Nota Fiscal,Data de Emissão,Vencimento,Valor Total,Data de Recebimento",
    ),
    "Italian, a remainder": (
        "Ragione sociale;Numero documento;Data documento;Data scadenza;Importo;Data incasso;Residuo",
        "A;2;03/02/2024;04/03/2024;1.120,00;28/02/2024;0,00",
        "Ragione sociale,Numero documento,Data documento,Data scadenza,Importo,Data incasso",
    ),
    "Polish, what is left to pay": (
        "Nabywca;Numer;Data wystawienia;Termin płatności;Brutto;Data zapłaty;Pozostało do zapłaty",
        "A;FV 2;2024-02-03;2024-03-04;1 120,00;2024-02-28;0,00",
        "Nabywca,Numer,Data wystawienia,Termin płatności,Brutto,Data zapłaty",
    ),
    "Czech": (
        "Odběratel;Číslo faktury;Datum vystavení;Datum splatnosti;Částka;Měna;Datum úhrady",
        "A;2;03.02.2024;04.03.2024;1 120,00;CZK;28.02.2024",
        "Odběratel,Číslo faktury,Datum vystavení,Datum splatnosti,Částka,Datum úhrady",
    ),
    "Finnish": (
        "Asiakas;Laskunumero;Laskun päivä;Eräpäivä;Summa;Maksupäivä",
        "A;2;03.02.2024;04.03.2024;1 120,00;28.02.2024",
        "Asiakas,Laskunumero,Laskun päivä,Eräpäivä,Summa,Maksupäivä",
    ),
    "Hungarian": (
        "Vevő;Számlaszám;Számla kelte;Fizetési határidő;Bruttó összeg;Fizetés dátuma",
        "A;2;2024.02.03;2024.03.04;1 120,00;2024.02.28",
        "Vevő,Számlaszám,Számla kelte,Fizetési határidő,Bruttó összeg,Fizetés dátuma",
    ),
    "Romanian": (
        "Client;Nr. factură;Data emiterii;Data scadenței;Valoare;Data plății",
        "A;2;03.02.2024;04.03.2024;1.120,00;28.02.2024",
        "Client,Nr. factură,Data emiterii,Data scadenței,Valoare,Data plății",
    ),
    "Turkish": (
        "Müşteri;Fatura No;Fatura Tarihi;Vade Tarihi;Tutar;Ödeme Tarihi",
        "A;2;03.02.2024;04.03.2024;1.120,00;28.02.2024",
        "Müşteri,Fatura No,Fatura Tarihi,Vade Tarihi,Tutar,Ödeme Tarihi",
    ),
    "German, a deadline": (
        "Kunde;Rechnung Nr.;Datum;Zahlungsfrist;Betrag;Zahlungseingang;Restbetrag",
        "A;2;03.02.2024;04.03.2024;1.120,00;28.02.2024;0,00",
        "Kunde,Rechnung Nr.,Datum,Zahlungsfrist,Betrag,Zahlungseingang",
    ),
    "German, paid over dates": (
        "Debitorenkonto;Beleg;Ausgestellt am;Zahlbar bis;Summe;Bezahlt",
        "A;2;03.02.2024;04.03.2024;1.120,00;28.02.2024",
        "Debitorenkonto,Beleg,Ausgestellt am,Zahlbar bis,Summe,Bezahlt",
    ),
    "English, raised and remitted": (
        "Client Ref,Doc No,Raised,Pay By,Gross,Remitted",
        "A,2,2024-02-03,2024-03-04,120.00,2024-02-28",
        "Client Ref,Doc No,Raised,Pay By,Gross,Remitted",
    ),
    "English, a deadline": (
        "cust_ref,inv_no,raised_on,payment_deadline,net_value,received_on",
        "A,2,2024-02-03,2024-03-04,120.00,2024-02-28",
        "cust_ref,inv_no,raised_on,payment_deadline,net_value,received_on",
    ),
    "Business Central, customer ledger entries in German": (
        ("Buchungsdatum;Belegdatum;Belegart;Belegnr.;Debitorennr.;Debitorenname;Ursprungsbetrag;Betrag;Restbetrag;"
        "Fälligkeitsdatum;Offen;Geschlossen am"),
        "03.02.2024;03.02.2024;Rechnung;RE1;10042;Ardent;120,00;120,00;0,00;04.03.2024;Nein;28.02.2024",
        "Debitorennr.,Belegnr.,Belegdatum,Fälligkeitsdatum,Betrag,Geschlossen am",
    ),
    "TOTVS Protheus, fields of the receivables table": (
        ("E1_CLIENTE;E1_LOJA;E1_NOMCLI;E1_PREFIXO;E1_NUM;E1_PARCELA;E1_TIPO;E1_EMISSAO;E1_VENCTO;E1_VENCREA;E1_VALOR;E1_SALDO;"
        "E1_BAIXA"),
        "000123;01;Ardent;1;000045;A;NF;03/02/2024;04/03/2024;04/03/2024;120,00;0,00;28/02/2024",
        "E1_CLIENTE,E1_NUM,E1_EMISSAO,E1_VENCTO,E1_VALOR,E1_BAIXA",
    ),
    "Portuguese, short": (
        "Cliente;NF;Emissão;Vencimento;Baixa;Valor",
        "Ardent;45;03/02/2024;04/03/2024;28/02/2024;120,00",
        "Cliente,NF,Emissão,Vencimento,Valor,Baixa",
    ),
    "Spanish, abbreviated": (
        "Cod. Cliente;Nombre;Nº Fra.;F. Factura;F. Vto.;F. Cobro;Importe",
        "43000001;Ardent;45;03/02/2024;04/03/2024;28/02/2024;120,00",
        "Cod. Cliente,Nº Fra.,F. Factura,F. Vto.,Importe,F. Cobro",
    ),
    "Italian, abbreviated": (
        "Cod. Cliente;Rag. Soc.;N. Doc.;Data Doc.;Data Scad.;Data Pag.;Importo",
        "C1;Ardent;45;03/02/2024;04/03/2024;28/02/2024;120,00",
        "Cod. Cliente,N. Doc.,Data Doc.,Data Scad.,Importo,Data Pag.",
    ),
    "a register of checks": (
        "Vendor Name,Invoice Number,Invoice Date,Check Date,Check Number,Amount",
        "Ardent,45,02/03/2024,02/28/2024,555,120.00",
        "Vendor Name,Invoice Number,Invoice Date,-,Amount,Check Date",
    ),
    "a log of a process": (
        "Document,Account,Document Date,Invoice Received = Arrival,Payment performed,Gross Amount",
        "3100,C1,2024-02-03,2024-02-05 07:22:00,2024-02-28,-120.00",
        "Account,-,Document Date,-,Gross Amount,Payment performed",
    ),
    "English, cash received": (
        "Debtor,Ref,Raised On,Gross (GBP),Cash Received",
        "A,2,03/02/2024,120.00,28/02/2024",
        "Debtor,Ref,Raised On,-,Gross (GBP),Cash Received",
    ),
    "Croatian": (
        "Kupac;Broj računa;Datum računa;Datum dospijeća;Iznos;Datum plaćanja",
        "A;2;03.02.2024;04.03.2024;1.120,00;28.02.2024",
        "Kupac,Broj računa,Datum računa,Datum dospijeća,Iznos,Datum plaćanja",
    ),
    "Greek": (
        "Πελάτης;Τιμολόγιο;Ημερομηνία Έκδοσης;Ημερομηνία Λήξης;Ποσό;Ημερομηνία Πληρωμής",
        "A;2;03/02/2024;04/03/2024;1.120,00;28/02/2024",
        "Πελάτης,Τιμολόγιο,Ημερομηνία Έκδοσης,Ημερομηνία Λήξης,Ποσό,Ημερομηνία Πληρωμής",
    ),
    "Russian": (
        "Контрагент;Номер счёта;Дата счёта;Срок оплаты;Сумма;Дата оплаты",
        "A;2;03.02.2024;04.03.2024;1 120,00;28.02.2024",
        "Контрагент,Номер счёта,Дата счёта,Срок оплаты,Сумма,Дата оплаты",
    ),
    "Korean": (
        "거래처,청구서번호,청구일,만기일,금액,입금일",
        "A,2,2024-02-03,2024-03-04,120000,2024-02-28",
        "거래처,청구서번호,청구일,만기일,금액,입금일",
    ),
}  # fmt: skip

MEANINGS: Final = ("client_id", "invoice_id", "issued_on", "due_on", "amount", "settled_on")


@pytest.mark.parametrize("name", EXPORTS)
def test_the_columns_of_an_export_are_found_by_what_they_are_called_and_hold(name: str) -> None:
    header, row, expected = EXPORTS[name]
    separator = ";" if ";" in header else ","
    names, cells = (next(csv.reader([line], delimiter=separator)) for line in (header, row))
    found = choose_columns(names, sample=[cells, cells])
    wanted = zip(MEANINGS, expected.split(","), strict=True)
    assert {meaning: found.get(meaning, "-") for meaning in MEANINGS} == dict(wanted)  # type: ignore[call-overload]


def test_a_remainder_to_pay_and_a_deadline_are_neither_the_client_nor_the_day_of_payment() -> None:
    header, row = (
        ["Tiers", "Reste à payer", "Date", "Date limite de paiement", "Montant"],
        ["A", "0,00", "03/02/2024", "04/03/2024", "9,50"],
    )
    found = choose_columns(header, sample=[row, row])
    assert (found["client_id"], found["outstanding"], found["due_on"]) == ("Tiers", "Reste à payer", "Date limite de paiement")  # type: ignore[index]
    assert "settled_on" not in found


def test_a_date_without_gaps_is_proposed_as_the_due_date_and_not_as_the_day_of_payment() -> None:
    header = ["wer", "invoice", "date", "amount", "erst", "dann"]
    sample = [["A", "1", "2024-02-03", "9.50", "2024-03-04", "2024-02-28"], ["A", "2", "2024-02-03", "9.50", "2024-03-04", ""]]
    with pytest.raises(UsageError, match="--map due_on=erst --map settled_on=dann"):
        choose_columns(header, sample=sample)


def test_an_account_that_is_the_same_in_every_row_is_the_firms_own_and_not_the_client() -> None:
    header = ["Date", "Document Number", "Name", "Account", "Amount", "Date Closed"]
    rows = [["2/3/2024", f"INV{number}", f"C{number % 5}", "1200 Receivable", "120.00", "2/28/2024"] for number in range(30)]
    assert choose_columns(header, sample=rows)[Meaning.CLIENT_ID] == "Name"
    header[2] = "Partner"
    assert choose_columns(header, sample=rows)[Meaning.CLIENT_ID] == "Partner"
    told = choose_columns(header, sample=rows, given=["client_id=Account"])
    assert told[Meaning.CLIENT_ID] == "Account"


def test_a_book_of_one_client_keeps_its_client() -> None:
    header = ["Customer", "Customer Name", "Date", "Amount", "Date Paid"]
    found = choose_columns(header, sample=[["C1", "Ardent", "2/3/2024", "120.00", "2/28/2024"]] * 30)
    assert (found[Meaning.CLIENT_ID], found[Meaning.NAME]) == ("Customer", "Customer Name")
