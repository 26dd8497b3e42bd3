"""An `ALTER` is taken apart where the server would take it apart, and errors name the place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osc.errors import AlterSyntaxError
from osc.plan.tokens import LexicalMode, TokenKind, tokenize

MYSQL_84 = LexicalMode(version=(8, 4, 0))
MARIADB_1011 = LexicalMode(flavor="mariadb", version=(10, 11, 8))


def values(text: str, mode: LexicalMode = MYSQL_84) -> list[str]:
    return [token.value for token in tokenize(text, mode).tokens]


def kinds(text: str, mode: LexicalMode = MYSQL_84) -> list[TokenKind]:
    return [token.kind for token in tokenize(text, mode).tokens]


@pytest.mark.parametrize(
    "name", ["1st", "1$a", "1_a", "1e", "1ea", "$a", "a$b", "naïve", "列", "0x41g", "0X41", "0B1", "0b"]
)
def test_an_unquoted_name_may_have_digits_dollars_and_letters_of_any_script(name: str) -> None:
    assert values(f"add {name} int") == ["add", name, "int"]
    assert kinds(f"add {name} int") == [TokenKind.WORD] * 3


@pytest.mark.parametrize("number", ["1", "1.5", "1e5", "1.5e-3", "0x41", "0b101", "x'41'", "B'01'"])
def test_a_number_is_no_name(number: str) -> None:
    assert kinds(f"default {number} ,") == [TokenKind.WORD, TokenKind.NUMBER, TokenKind.SYMBOL]


def test_names_in_backticks_have_their_doubled_backticks_undone() -> None:
    assert values("`a``b` ```` `c\\`") == ["a`b", "`", "c\\"]
    assert set(kinds("`a``b` ```` `c\\`")) == {TokenKind.QUOTED_NAME}


def test_a_quoted_keyword_is_not_taken_for_the_keyword() -> None:
    plain, quoted = tokenize("column `column`", MYSQL_84).tokens
    assert plain.is_word("COLUMN")
    assert not quoted.is_word("COLUMN")


def test_double_quotes_are_strings_unless_the_sql_mode_says_ansi_quotes() -> None:
    assert kinds('"a""b, c"') == [TokenKind.STRING]
    (token,) = tokenize('"a""b, c"', LexicalMode(ansi_quotes=True)).tokens
    assert (token.kind, token.value) == (TokenKind.QUOTED_NAME, 'a"b, c')


def test_a_double_quote_in_a_string_escapes_nothing_under_ansi_quotes() -> None:
    assert values("""'"' , '\\\\"' , '""' """, LexicalMode(ansi_quotes=True)) == ['"', ",", '\\"', ",", '""']


def test_a_name_right_before_an_ansi_quote_is_a_name_of_its_own() -> None:
    assert values('n"x"', LexicalMode(ansi_quotes=True)) == ["n", "x"]


def test_a_backslash_escapes_a_quote_unless_the_sql_mode_says_otherwise() -> None:
    assert values(r"'a\'b' , 'c\\' , d") == ["a'b", ",", "c\\", ",", "d"]
    assert values(r"'a\' , 'b'", LexicalMode(no_backslash_escapes=True)) == ["a\\", ",", "b"]


def test_strings_hold_anything_and_doubled_quotes() -> None:
    assert values("""'a'',b(' , "it's -- # /* ;" , ''""") == ["a',b(", ",", "it's -- # /* ;", ",", ""]


@pytest.mark.parametrize(
    "comment", ["-- c ' `\n", "--\n", "# c ' \"\n", "/* , ; ' */", "/**/", "/*+ hint */", "/* a /* b */", "--\x01\n"]
)
def test_comments_are_left_out(comment: str) -> None:
    assert values(f"a {comment} b") == ["a", "b"]
    assert values(f"a{comment}b") == ["a", "b"]


def test_two_dashes_without_white_space_behind_them_are_no_comment() -> None:
    assert values("5--3") == ["5", "-", "-", "3"]


def test_a_comment_at_the_very_end_needs_no_line_end() -> None:
    assert values("a --") == ["a"]
    assert values("a # b") == ["a"]


def test_jinja_means_nothing_to_a_server() -> None:
    assert values("{# #}\n}") == ["{", "}"]


@pytest.mark.parametrize(
    "keywords", ["primary key", "order by", "unsigned integer", "double precision", "character varying"]
)
def test_every_keyword_is_a_token_of_its_own(keywords: str) -> None:
    assert values(keywords) == keywords.split()


def test_offsets_point_at_the_token_as_it_is_written() -> None:
    text = "add /* é */ `ü``x`\tint"
    assert [text[token.start : token.end] for token in tokenize(text, MYSQL_84).tokens] == ["add", "`ü``x`", "int"]


# --- executable comments --------------------------------------------------------------------------------------------


def test_an_executable_comment_for_this_server_or_an_older_one_is_read() -> None:
    text = "a /*!80000 b */ c /*! d */ /*!80400 e */ /*!080400 f */"
    read = tokenize(text, MYSQL_84)
    assert [token.value for token in read.tokens] == ["a", "b", "c", "d", "e", "f"]
    assert [text[region.start : region.end] for region in read.regions] == [
        "/*!80000 b */", "/*! d */", "/*!80400 e */", "/*!080400 f */"
    ]  # fmt: skip


def test_an_executable_comment_for_a_newer_server_is_a_comment_whatever_it_holds() -> None:
    assert values("a /*!90000 it's /* nested */ b */ c") == ["a", "c"]
    assert tokenize("a /*!90000 b */", MYSQL_84).regions == ()


def test_digits_of_the_version_end_where_the_code_begins() -> None:
    assert values("/*!80000not null*/") == ["not", "null"]
    assert values("/*!800001 */") == []


def test_what_is_for_mariadb_alone_is_read_by_mariadb_alone() -> None:
    assert values("a /*M! b */ /*M!101100 c */ /*M!110000 d */", MARIADB_1011) == ["a", "b", "c"]
    assert values("a /*M! b */ /*M!101100 c */") == ["a"]


def test_mariadb_skips_what_is_for_mysql_57_and_later() -> None:
    assert values("a /*!50699 b */ /*!50700 c */ /*!80000 d */ /*!100000 e */", MARIADB_1011) == ["a", "b", "e"]


def test_the_end_of_an_executable_comment_is_not_looked_for_inside_strings_and_comments() -> None:
    assert values("/*!80000 comment '*/' /* x */ b */ c") == ["comment", "*/", "b", "c"]


def test_marks_of_executable_comments_in_strings_and_names_are_text() -> None:
    assert values("'/*!80000 a' `/*M!` '*/'") == ["/*!80000 a", "/*M!", "*/"]


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("add x 'abc", 7, "this quote is never closed"),
        ('add x "abc', 7, "this quote is never closed"),
        ("add `x int", 5, "this quote is never closed"),
        ("add 'a\\'", 5, "this quote is never closed"),
        ("add x /* int", 7, "this comment is never closed"),
        ("add /*/ x", 5, "this comment is never closed"),
        ("add /*!80000 x", 5, "this comment is never closed"),
        ("add /*!99999 x", 5, "this comment is never closed"),
        ("add x */", 7, "this */ closes no comment"),
        ("/*!80000 a /*!80000 b */ */", 12, "an executable comment inside another one"),
        ("add x'4g'", 5, "this hexadecimal or bit string is malformed or never closed"),
        ("add\u00a0x", 4, "U+00A0 looks like white space"),
        ("add x\u3000int", 6, "U+3000 looks like white space"),
    ],
)
def test_what_cannot_be_read_is_shown_with_its_place(text: str, column: int, reason: str) -> None:
    with pytest.raises(AlterSyntaxError) as caught:
        tokenize(text, MYSQL_84)
    message = str(caught.value)
    assert f"(line 1, column {column})" in message
    assert reason in message
    _, shown, caret, _ = message.split("\n")
    assert shown[caret.index("^")] == text[column - 1]


def test_the_place_counts_lines() -> None:
    with pytest.raises(AlterSyntaxError, match=r"line 3, column 2"):
        tokenize("add x int,\n\n `y int\n, drop z", MYSQL_84)


def test_a_long_line_is_shown_around_the_place_only() -> None:
    with pytest.raises(AlterSyntaxError) as caught:
        tokenize("add a int, " * 50 + "add `x int, " + "add a int, " * 50, MYSQL_84)
    _, shown, caret, _ = str(caught.value).split("\n")
    assert len(shown) < 120
    assert shown[caret.index("^") :].startswith("`x int")


@given(st.text(alphabet="ab08 `'\"/*!-#\\(),;\nMé\u00a0xN$e.@{"), st.booleans(), st.booleans())
def test_any_text_is_either_read_without_a_gap_or_refused(text: str, ansi: bool, no_backslash: bool) -> None:
    try:
        tokens = tokenize(text, LexicalMode(ansi, no_backslash)).tokens
    except AlterSyntaxError:
        return
    ends = [0, *(token.end for token in tokens)]
    assert all(end <= token.start < token.end for end, token in zip(ends, tokens, strict=False))
    assert all(text[token.start : token.end] == token.value for token in tokens if token.kind is TokenKind.WORD)
