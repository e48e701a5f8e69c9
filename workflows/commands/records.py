"""The commands ``matloop import``, ``questions``, ``records`` and ``withdraw``: what comes back, or will not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from matloop.data.errors import InputFileError, RecordsError
from matloop.data.label import Label
from matloop.data.plain_text import counted, one_line
from matloop.data.properties.catalogue import property_named, using
from matloop.data.records.accepting import RowVerdict, Verdict
from matloop.data.records.answering import Answer, AnswerKind, answer_questions, refuse_sheet
from matloop.data.records.cells import Doubt
from matloop.data.records.contents import contents_of, export_table, samples_table, values_table
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.importing import ImportReport, import_sheet
from matloop.data.records.notebook_export import export_notebook
from matloop.data.records.own_properties import catalogue_of_records
from matloop.data.records.questions import Question, open_questions
from matloop.data.records.result_codes import RESULT_CODES
from matloop.data.records.result_sheet import RESULTS, STEPS
from matloop.data.records.retracting import retract_values
from matloop.data.records.sheet_files import read_answer_rows, read_sheet_file
from matloop.data.records.withdrawing import withdraw_proposals
from matloop.data.whole_files import write_csv
from matloop.workflows.commands.screened_candidates import candidates_of_runs, catalogue_of_runs
from matloop.workflows.terminal_tables import Heading, print_table

QUESTION_COLUMNS = ("question", "sheet", "row", "column", "as_written", "asked", "detail", "answer", "instead")
"""Columns of a file of questions; whoever answers fills in the last two."""
_MOST_SHOWN = 40
_ANSWERS: Mapping[str, AnswerKind] = {
    "as written": "as written", "aswritten": "as written", "yes": "as written", "无误": "as written",
    "instead": "instead", "改为": "instead", "refuse": "refuse", "no": "refuse", "撤回": "refuse",
}  # fmt: skip
_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "en": ("file", "row", "column", "as written", "why", "question"),
    "zh": ("文件", "行", "列", "原文", "原因", "问题编号"),
}
_VERDICTS: Mapping[Verdict, Label] = {
    "accepted": Label("accepted", "接受"), "held": Label("held", "待答复"), "refused": Label("refused", "拒绝"),
}  # fmt: skip


def import_and_print(
    files: Sequence[Path], runs: Sequence[Path], *, records: str | None, laboratory: str, language: str
) -> bool:
    """Take sheets in and print what became of every row that was not accepted.

    Returns:
        Whether every row is settled.
    """
    console = Console(highlight=False)
    candidates, own = candidates_of_runs(runs), catalogue_of_runs(runs)
    for file in files:
        read_sheet_file(file)  # a wrong file makes no database
    database = open_records(records)
    settled = True
    for file in files:
        with using(own):
            report = import_sheet(database, file, candidates=candidates, laboratory=laboratory)
        with using(catalogue_of_records(database)):
            _print_report(report, console, language)
        settled = settled and not report.count("held")
    if not settled:
        wait = Label(
            "Held rows wait for an answer: matloop questions lists what is asked.",
            "待答复的行须先答复：用 matloop questions 查看问题。",
        )
        console.print(Text(_in(language, wait)))
    return settled


def _print_report(report: ImportReport, console: Console, language: str) -> None:
    sheet = report.sheet
    told = _counts_of({verdict: report.count(verdict) for verdict in _VERDICTS})
    summary = Label(
        f"{sheet.name} (read as {sheet.encoding}): {told.en}.", f"{sheet.name}（按 {sheet.encoding} 读取）：{told.zh}。"
    )  # fmt: skip
    console.print(Text(_in(language, summary)), soft_wrap=True)
    notes = _notes(report)
    if notes:
        en, zh = "; ".join(note.en for note in notes), "；".join(note.zh for note in notes)
        console.print(Text(_in(language, Label(f"Also: {en}.", f"另有：{zh}。"))), soft_wrap=True)
    rows = [_cells(sheet.name, row.number, doubt, language) for row in report.rows for doubt in row.doubts]
    if rows:
        print_table(console, "", _headings(language), rows[:_MOST_SHOWN], keys=2)
    if len(rows) > _MOST_SHOWN:
        codes = Counter(doubt.code for row in report.rows for doubt in row.doubts)
        reasons = [f"{_in(language, RESULT_CODES[code])} {number:,}" for code, number in codes.most_common()]
        shown = Label(
            f"The first {_MOST_SHOWN} of {len(rows):,} are shown. All by reason: {', '.join(reasons)}.",
            f"仅显示 {len(rows):,} 条中的前 {_MOST_SHOWN} 条。按原因统计：{'，'.join(reasons)}。",
        )
        console.print(Text(_in(language, shown)), soft_wrap=True)


def _notes(report: ImportReport) -> list[Label]:
    """What else is to be said of a sheet."""
    sheet, notes = report.sheet, []
    if report.known:
        notes.append(
            Label(f"{counted(report.known, 'row')} in the records already", f"{report.known:,} 行已在记录中")
        )  # fmt: skip
    if report.blank:
        notes.append(Label(f"{counted(report.blank, 'row')} left empty", f"{report.blank:,} 行未填写"))
    if report.still_counting:
        count = counted(report.still_counting, "value")
        notes.append(
            Label(
                f"{count} of rows left empty in the records, which count as before; matloop retract takes one back",
                f"未填写的行在记录中已有 {report.still_counting:,} 个数值，照常计入；可用 matloop retract 撤销",
            )
        )
    if report.waited:
        steps = f"{counted(report.waited, 'process step')} of earlier sheets accepted with their samples"
        notes.append(Label(steps, f"先前表格的 {report.waited:,} 个工艺步骤随样品一并接受"))
    if report.missing_files:
        files = ", ".join(report.missing_files[:5]) + " ..." * (len(report.missing_files) > 5)
        notes.append(
            Label(
                f"{counted(len(report.missing_files), 'data file')} not beside the sheet ({files}); "
                "import it again with them",
                f"{len(report.missing_files):,} 个数据文件不在表格所在文件夹（{files}）；放入后请重新导入",
            )
        )
    if report.judged_again:
        rows = f"{counted(report.judged_again, 'held row')} of candidates that are known now judged again"
        notes.append(Label(rows, f"{report.judged_again:,} 个待答复的行因候选材料现已知而重新判定"))
    if report.withdrawn:
        names = report.withdrawn[:10]
        notes.append(
            Label(
                f"the proposal of {', '.join(names)} had been withdrawn; the results count all the same",
                f"{'、'.join(names)} 的提议此前已撤回，其结果照常计入",
            )
        )
    if report.untaught:
        known = [property_named(name) for name in report.untaught]
        notes.append(
            Label(
                f"no target of a run learns from {', '.join(one.label_en for one in known)}, which is kept",
                f"没有筛选任务以{'、'.join(one.label_zh for one in known)}为目标，仅存入记录",
            )
        )
    if sheet.not_read:
        columns = sheet.not_read[:10]
        notes.append(Label(f"columns that are not read: {', '.join(columns)}", f"未读取的列：{'、'.join(columns)}"))
    return notes


def _headings(language: str) -> tuple[Heading, ...]:
    file, row, column, written, why, _ = _HEADINGS["zh" if language == "zh" else "en"]
    return Heading(file), Heading(row, right=True), Heading(column), Heading(written), Heading(why, breaks=True)


def _cells(sheet: str, number: int, doubt: Doubt, language: str) -> tuple[str, ...]:
    brackets = "（{}）" if language == "zh" else " ({})"
    detail = brackets.format(_in(language, doubt.remark.label)) if doubt.remark.key else ""
    return sheet, str(number), _label_of(doubt.column, language), doubt.as_written[:60], asked(doubt, language) + detail


def asked(doubt: Doubt, language: str) -> str:
    """What is asked, or why a row is refused.

    >>> asked(Doubt("E-RESULT-UNIT", "unit"), "zh")
    '单位缺失、未知或与数值单元格矛盾'
    """
    return _in(language, RESULT_CODES[doubt.code])


def _in(language: str, label: Label) -> str:
    return label.zh if language == "zh" else label.en


def _label_of(key: str, language: str) -> str:
    return next((_in(language, column.label) for column in (*RESULTS, *STEPS) if column.key == key), key)


def print_contents(records: str | None, *, export: Path | None, samples: bool, properties: Sequence[str]) -> None:
    """Print how much the records hold, or write the values or the samples to a file.

    Args:
        records: The records database.
        export: The file, CSV, Parquet, JSON or a notebook's ``.eln`` by its suffix; None to print.
        samples: Whether samples are written in place of values.
        properties: Names of the properties whose values are written; all if empty.

    Raises:
        UnknownNameError: For an unknown property.
    """
    console, database = Console(highlight=False), open_records(records, may_create=False)
    known = catalogue_of_records(database)
    with using(known):
        wanted = [property_named(name).name for name in properties]
    if export is not None and export.suffix.lower() == ".eln":
        with using(known):
            count = export_notebook(export, database, properties=wanted)
        console.print(Text(f"{counted(count, 'sample')}: {one_line(str(export))}"))
        return
    if export is not None:
        table = samples_table(database) if samples else values_table(database, wanted)
        export_table(export, table)
        console.print(Text(f"{counted(table.num_rows, 'sample' if samples else 'value')}: {one_line(str(export))}"))
        return
    found = contents_of(database)
    lines = [
        f"{one_line(database.shown)}: {counted(found.actions, 'action')}",
        f"rows of sheets: {_counts(found.rows)}",
        f"samples: {_counts(found.samples)}",
        f"values: {_counts(found.values)}",
        f"open questions: {found.open_questions:,}",
    ]
    if found.retracted or found.of_failed:
        lines.insert(
            4, f"values that do not count: {found.retracted:,} retracted, {found.of_failed:,} of failed samples"
        )
    if found.proposed:
        withdrawn = f", {found.withdrawn:,} of them withdrawn" if found.withdrawn else ""
        lines.append(f"proposed: {counted(found.proposed, 'candidate')}{withdrawn}")
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in sorted(numbers.items())) or "none"


def print_questions(records: str | None, *, output: Path | None, language: str) -> None:
    """Print the open questions, or write them to a CSV file with columns for the answers."""
    console = Console(highlight=False)
    questions = open_questions(open_records(records, may_create=False))
    if output is not None:
        write_csv(output, QUESTION_COLUMNS, [_written(question, language) for question in questions])
        console.print(Text(f"{counted(len(questions), 'open question')}: {one_line(str(output))}"))
        return
    if not questions:
        console.print(Text(_in(language, Label("No open questions.", "没有待答复的问题。"))))
        return
    headings = (Heading(_HEADINGS["zh" if language == "zh" else "en"][-1]), *_headings(language))
    rows = [(question.id, *_cells(question.sheet, question.number, question.doubt, language)) for question in questions]
    title = Label(counted(len(questions), "open question"), f"{len(questions):,} 个待答复的问题")
    print_table(console, _in(language, title), headings, rows, keys=1)


def _written(question: Question, language: str) -> tuple[str, ...]:
    doubt = question.doubt
    column = _label_of(doubt.column, language)
    told, more = asked(doubt, language), _in(language, doubt.remark.label)
    return question.id, question.sheet, str(question.number), column, doubt.as_written, told, more, "", ""


def withdraw_and_print(records: str | None, candidates: Sequence[str], *, reason: str, language: str) -> None:
    """Withdraw the proposals of candidates, which are named by their ids or the beginnings of them, and print which."""
    names = withdraw_proposals(open_records(records, may_create=False), candidates, reason=reason)
    done = Label(
        f"withdrawn: {', '.join(names)}; matloop propose may choose {'it' if len(names) == 1 else 'them'} again",
        f"已撤回：{'、'.join(names)}；matloop propose 可再次选用",
    )
    _print_done(done, language)


def retract_and_print(records: str | None, values: Sequence[str], *, reason: str, language: str) -> None:
    """Retract values, which are named by their ids or the beginnings of them, and print which."""
    names = retract_values(open_records(records, may_create=False), values, reason=reason)
    done = Label(
        f"retracted: {', '.join(names)}; models learn without {'it' if len(names) == 1 else 'them'} from now on",
        f"已撤销：{'、'.join(names)}；此后不再用于训练",
    )
    _print_done(done, language)


def _print_done(done: Label, language: str) -> None:
    """One line that a terminal may wrap but that is not cut."""
    Console(highlight=False).print(Text(_in(language, done)), soft_wrap=True)


def answer_and_print(
    records: str | None, answers: Sequence[str], *, file: Path | None, note: str, language: str = "en"
) -> None:  # fmt: skip
    """Settle questions and print the new verdicts.

    Args:
        records: The records database.
        answers: Each ``QUESTION=as written``, ``QUESTION=refuse`` or ``QUESTION=instead: TEXT``.
        file: A file of questions with the columns ``answer`` and ``instead`` filled in.
        note: Why.
        language: Of what is printed.
    """
    given = dict(_answer_written(text) for text in answers)
    if file is not None:
        given |= _answers_in(file)
    database: RecordsDatabase = open_records(records, may_create=False)
    verdicts = answer_questions(database, given, note=note)
    counts = Counter(row.verdict for row in verdicts)
    told = _counts_of({verdict: counts[verdict] for verdict in _VERDICTS})
    judged = Label(
        f"{counted(len(given), 'answer')}; rows judged again: {told.en}.",
        f"{len(given):,} 个答复；重新判定：{told.zh}。",
    )  # fmt: skip
    Console(highlight=False).print(Text(_in(language, judged)))
    _print_verdicts(verdicts, language)


def refuse_and_print(records: str | None, sheet: str, *, note: str, language: str) -> None:
    """Take back all held rows of a sheet, and print how many.

    Args:
        records: The records database.
        sheet: Its name.
        note: Why.
        language: Of what is printed.
    """
    count = refuse_sheet(open_records(records, may_create=False), sheet, note=note)
    told = Label(f"{sheet}: {counted(count, 'row')} taken back", f"{sheet}：已撤回 {count:,} 行")
    Console(highlight=False).print(Text(_in(language, told)), soft_wrap=True)


def _counts_of(numbers: Mapping[Verdict, int]) -> Label:
    """How many rows got each verdict."""
    return Label(
        ", ".join(f"{number:,} {_VERDICTS[verdict].en}" for verdict, number in numbers.items()),
        "，".join(f"{_VERDICTS[verdict].zh} {number:,} 行" for verdict, number in numbers.items()),
    )


def _print_verdicts(verdicts: Sequence[RowVerdict], language: str) -> None:
    rows = [
        _cells(row.part, row.number, doubt, language)
        for row in verdicts
        if row.verdict == "held"
        for doubt in row.doubts
    ]
    if rows:
        print_table(
            Console(highlight=False), _in(language, Label("Still held", "仍待答复")), _headings(language), rows, keys=2
        )


def _answer_written(text: str) -> tuple[str, Answer]:
    question, mark, rest = text.partition("=")
    kind, _, instead = rest.partition(":")
    if not mark or _ANSWERS.get(kind.strip().lower()) is None:
        raise RecordsError(
            f"answer '{text[:80]}'", "QUESTION=as written, QUESTION=refuse, QUESTION=instead: TEXT",
            "matloop questions lists the questions",
        )  # fmt: skip
    return question.strip(), Answer(_ANSWERS[kind.strip().lower()], instead.strip())


def _answers_in(file: Path) -> dict[str, Answer]:
    """Answers in a file of questions; questions without one stay open."""
    found: dict[str, Answer] = {}
    for number, row in read_answer_rows(file):
        kind, instead = row.get("answer", "").strip().lower(), row.get("instead", "").strip()
        if not kind and not instead:
            continue
        if (kind or "instead") not in _ANSWERS:
            raise InputFileError(f"{file.name}, row {number}: answer '{kind[:40]}'", "as written, instead, refuse")
        found[row.get("question", "").strip()] = Answer(_ANSWERS[kind or "instead"], instead)
    return found
