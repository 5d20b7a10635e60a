"""What stands between a name and its value: separators, quotes, wrappers, in all the languages of pairs."""

from __future__ import annotations

import re
from typing import Final

_QUOTE: Final = r"""(?:\\{0,64}(?:["'`]|u0022|u0027)|&quot;|&\#(?:3[49]|x2[27]);|&apos;|%22|%27)"""
_GAP: Final = r"(?:\s|\\{1,16}[nrt]|(?<=\n)[+-]){0,12}+"
_BREAK: Final = r"(?:\s|\\{1,16}[nrt])"
_WRAPPER: Final = (
    r"(?:(?:Some|Secret(?:Str|String|Bytes|Box)?|Sensitive(?:String)?|String::from|(?:Secret|Pydantic)?Field|SecretString::new"
    r"|bytes\.fromhex|(?:binascii\.)?unhexlify|(?:base64\.)?b64decode|hex::decode|Buffer\.from)"
    r"\((?:\s{0,4}default=)?\s{0,4})"
)
"""What holds a secret in code without another value in it."""
AFTER_NAME: Final = re.compile(
    rf"""(?x)
    (?P<closing>{_QUOTE})?
    (?:
      (?P<operator>
          \*{{0,2}} [^\S\n]{{0,16}} (?:\]|\}}(?=[ ]?=[ ]?["']))? [^\S\n]{{0,16}}
            (?: => | := | -> | ={{1,3}} | [|?]{{1,2}}= | : | \uff1a | %3[AaDd] ) \*{{0,2}} \s{{0,16}}+
          (?! [tT]ype: )
          (?: (?=[SPFJBbhu(|>&!s<q\[{{])
            (?: (?: {_WRAPPER} | (?:Just|\[\]byte)? \( \s{{0,16}} ) (?={_QUOTE}) | [|>][+-]? \n [ ]{{1,16}}
              | &(?!str\b)\w{{1,24}}[ ](?!=) | !{{1,2}}[a-z]{{1,12}}[ ] | Str\( | string\([0-9]{{1,5}}\)[ ]
              | <(?:code|pre|b|strong|tt)> | <<[-~]?["']?[A-Z_]{{1,16}}["']? \n [ ]{{0,16}}
              | \[ (?=\[) | qq?\{{
              | \{{ {_GAP}
                (?: {_QUOTE} (?:type|sensitive) {_QUOTE} [ ]? : [^\n,{{}}]{{1,24}} , {_GAP} ){{0,2}}
                {_QUOTE} (?:[vV]alue|val|default) {_QUOTE} \s{{0,4}} : \s{{0,4}} (?={_QUOTE}) ) )?
          (?: [&*]? (?: 'static[ ] | constant[ ] )? [A-Za-z] [\w.\[\]|<>?]{{0,40}} (?: [ ]\|[ ] \w{{1,20}} )?
              \s{{0,4}} :?= \s{{0,4}} (?=@?{_QUOTE}(?!\s{{0,4}}(?:[,}}\]);]|\Z))) )?
        | (?=[ ][sS&\[{{cCvV]) [ ]{{1,4}} (?: \{{[ ]get;[ ](?:private[ ])?(?:(?:set|init);[ ])?\}}
            | string | String | \[\]byte | &str | (?i:constant[ ])?(?i:varchar2?)\([0-9]{{1,5}}\) )
            [^\S\n]{{1,4}} :?= [^\S\n]{{0,4}} (?={_QUOTE})
        | (?P<form> (?=[\r\n\\]) (?(closing) (?: \r?\n | (?: \\{{1,16}}r )? \\{{1,16}}n ){{2}} | (?!) ) )
        | (?: \s{{0,8}} [,)}}:] )? {_GAP} [\[({{]? {_GAP}
            (?: (?:[tT]ype|[dD]escription|sensitive|nullable|NoEcho|format)
                [^\S\n]{{0,12}} [=:] [^\n\\]{{0,120}}+ {_GAP} ){{0,4}}
            (?: {_QUOTE} [tT]ype {_QUOTE} \s{{0,4}} : \s{{0,4}}
                {_QUOTE} \w{{1,24}} {_QUOTE} \s{{0,4}} , {_GAP} )?
            (?: {_QUOTE} [A-Za-z]{{1,24}} {_QUOTE} \s{{0,4}} : \s{{0,4}}
                (?: null | true | false | [0-9]{{1,8}} ) \s{{0,4}} , {_GAP} ){{0,3}}
            {_QUOTE}? (?:(?:[a-z]{{1,12}}V|[vV])alue|val|content|[dD]efault|example|text|current)
            {_QUOTE}? \s{{0,8}} [:=] \s{{0,8}}
        | ;s:[0-9]{{1,6}}: (?={_QUOTE})                                               # PHP, serialised
        | (?: \n | \\{{1,16}}n ) [ ]{{0,8}} [^\n\[\]\\]{{0,120}} \[type= [^\]\n]{{0,80}} input_value=
      )
      | (?P<element> (?: </[A-Za-z]{{1,16}}> {_GAP} <[A-Za-z]{{1,16}}[^<>\n]{{0,80}}
              (?: > {_GAP} <[A-Za-z]{{1,16}} )? )? > {_GAP}
          | (?(closing) (?!) )  # attributes of the element that the name is of
            (?: \s{{1,4}} [\w:.-]{{1,32}} = {_QUOTE} [^"'<>\n\\]{{0,80}} {_QUOTE} ){{1,3}} [ ]? > {_GAP} )
      | (?P<list> (?: \n | \\{{1,16}}n ) [ ]{{0,16}} -[ ] (?!-)                       # arguments in YAML
          | \s{{0,8}} , \s{{0,8}} (?: [\w.]{{1,40}} \( )? (?={_QUOTE}) | \s? \( \s{{0,4}} (?={_QUOTE}) )
      | (?P<cell> (?(closing) (?: \r?\n | \\{{1,16}}r\\{{1,16}}n ){{2}} | (?!) )       # a part of a form
          | [^\S\n]{{0,40}} \|{{1,2}} [^\S\n]{{0,40}} | [ ]? \( | \t{{1,4}} )
      | (?P<prose> [^\S\n]{{1,4}}
          (?: (?: is | was | are | provided | used | found | reads | below | set[ ]to | to | as
                | auf | equals | value | est | este | ist | lautet | es | er | je
                | \xe9 | \xe8 | \xe4r ) [^\S\n]{{0,3}} [:=]? \s{{1,12}}
            | [A-Za-z]{{1,16}} [^\S\n]{{1,3}} (?:is|was|to|auf) [^\S\n]{{0,3}} :? \s{{1,4}}
            | [A-Za-z]{{1,12}} [ ]? : \s{{1,4}}
            | (?: for | of | to | in | on | de | del | do | da | du | des | der | f\xfcr | von | van | voor
                | para | pentru | untuk | til | dla | pour | cho | di | della | per )
              [ ] [\w.@/-]{{1,40}}
              (?: [ ] (?:is|was|=|->|est|ist|es|\xe9|\xe8|lautet) [ ]{{0,2}} :? | : ) \s{{1,4}}
          )
        )
      | (?P<space> [^\S\n]{{1,8}} (?: [0-9][ ] | REG_[A-Z_]{{2,12}} [ ]{{1,8}} )?
          (?: --? (?: body | value | data | plaintext | secret-string | password | p ) [= ]{{1,2}} )? )
    )
    (?P<array> \[ \s{{0,8}} )?
    (?: \*{{1,2}} | [bBrRfFuUN]{{1,2}} (?=\\{{0,64}}["']) | \$?@ (?={_QUOTE}) )?
    (?P<opening>{_QUOTE}|<!\[CDATA\[)?
    """
)
MORE: Final = re.compile(
    rf"{_QUOTE}(?:(?P<joined>[ ]?[+.]{_BREAK}{{0,40}}+|[ ]?\\?(?:\n|\\{{1,16}}n){_BREAK}{{0,40}}+)"
    rf"|\s?,{_BREAK}{{0,40}}+)(?P<opening>{_QUOTE})"
)
"""From the end of one text to the next: of one that is written in parts, or of a list."""


def how_of(found: re.Match[str]) -> str:
    """Which form a match of :data:`AFTER_NAME` has."""
    for group in ("operator", "space", "prose", "list", "cell"):
        if found[group] is not None:
            return group
    return "element"
