"""What a file seems to lack, and whether it is wise to send it. Pure."""

from crm_pipelines.files.columns import Columns
from crm_pipelines.files.report import ImportTally

_SHOWN = 5


def warnings_of(tally: ImportTally, columns: Columns) -> tuple[str, ...]:
    """Sentences for the person who imports; none where there is nobody to speak of."""
    if tally.named or tally.rows == tally.rejected:
        return ()
    if columns.names:
        blank = "the column " if len(columns.names) == 1 else "the columns "
        blank += " and ".join(columns.names)
        return (f"No row has a name: {blank} {'is' if len(columns.names) == 1 else 'are'} blank throughout.",)
    if [*columns.fields.values()] == ["email"]:
        return ("Only the address was recognised, so there is neither a name nor a phone number.",)
    return ("No column was taken for the name, so there is none.",)


def why_held_back(tally: ImportTally, columns: Columns) -> str | None:
    """Why nobody is to be selected: there is no name, and it may be in a column that nothing is known of.

    What was sent without a name cannot be taken back. A file of addresses alone is nothing that was misread.
    """
    if tally.named or tally.rows == tally.rejected or not columns.unknown:
        return None
    titles = [columns.header[place] for place in columns.unknown]
    shown = ", ".join(titles[:_SHOWN]) + (", …" if len(titles) > _SHOWN else "")
    one = len(titles) == 1
    return (
        f"no name was recognised, and it may stand in {'a column' if one else 'columns'} that "
        f"{'is' if one else 'are'} not known ({shown}). Import again with `--map COLUMN=name` (or first_name, "
        "last_name), or, if there is none, with --without-names."
    )
