//! The page at `/`: the commands as links and forms. One self-contained document; it loads nothing.

use std::fmt::Write as _;

use crate::commands::{COMMANDS, Command, Input, Parameter};

const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Nuncio Admin</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --line: #d5d8dd; --muted: #5b6470; --link: #0b57d0; --even: #f6f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3a3f47; --muted: #a2abb8; --link: #8ab4f8; --even: #1d2126; }
}
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; }
header p { color: var(--muted); margin: 0 0 1.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-top: 1px solid var(--line); padding: .4rem .6rem; text-align: left; vertical-align: baseline; }
thead th { border-top: 0; color: var(--muted); font-weight: normal; }
tbody:nth-of-type(even) { background: var(--even); }
td.parameter { border-top: 0; padding-left: 2rem; }
td.parameter + td { border-top: 0; color: var(--muted); }
form { margin: 0; }
a, button.link { background: none; border: 0; color: var(--link); cursor: pointer; font: inherit; padding: 0;
  text-decoration: underline; }
</style>
</head>
<body>
"#;

/// The whole page.
pub(crate) fn home(display_version: &str) -> String {
    let mut page = String::with_capacity(8 * 1024);
    page.push_str(HEAD);
    // Writing to a string cannot fail.
    let _ = writeln!(page, "<header><h1>Nuncio Admin</h1>\n<p>{}</p></header>", escape(display_version));
    page.push_str("<table>\n<thead><tr><th>Command</th><th>What it does</th></tr></thead>\n");
    for command in COMMANDS.iter().filter(|command| command.path != "/") {
        push_command(&mut page, command);
    }
    page.push_str("</table>\n</body>\n</html>\n");
    page
}

fn push_command(page: &mut String, Command { path, mutates, help, parameters, .. }: &Command) {
    // Relative links keep working behind a proxy that puts the admin server below a prefix.
    let name = path.trim_start_matches('/');
    let id = name.replace('/', "-");
    page.push_str("<tbody>\n<tr><td>");
    let _ = if *mutates {
        write!(page, "<form id=\"{id}\" action=\"{name}\" method=\"post\"><button>{name}</button></form>")
    } else if parameters.is_empty() {
        write!(page, "<a href=\"{name}\">{name}</a>")
    } else {
        write!(
            page,
            "<form id=\"{id}\" action=\"{name}\" method=\"get\"><button class=\"link\">{name}</button></form>"
        )
    };
    let _ = writeln!(page, "</td><td>{help}</td></tr>");
    for Parameter { name, help, input } in *parameters {
        let label = format!("{id}-{name}");
        page.push_str("<tr><td class=\"parameter\">");
        let _ = match input {
            Input::Text => write!(page, "<input type=\"text\" id=\"{label}\" name=\"{name}\" form=\"{id}\">"),
            Input::Switch => {
                write!(page, "<input type=\"checkbox\" id=\"{label}\" name=\"{name}\" form=\"{id}\">")
            }
            Input::Choice(choices) => {
                let _ = write!(page, "<select id=\"{label}\" name=\"{name}\" form=\"{id}\">");
                for choice in *choices {
                    let _ = write!(page, "<option>{choice}</option>");
                }
                write!(page, "</select>")
            }
        };
        let _ = writeln!(page, "</td><td><label for=\"{label}\">{name}: {help}</label></td></tr>");
    }
    page.push_str("</tbody>\n");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_every_command_and_loads_nothing() {
        let page = home("nuncio <1>");
        assert!(page.contains("nuncio &lt;1&gt;"));
        for command in COMMANDS.iter().filter(|command| command.path != "/") {
            let name = command.path.trim_start_matches('/');
            assert!(page.contains(&format!(">{name}<")), "{name}");
        }
        assert!(page.contains("action=\"quitquitquit\" method=\"post\""));
        for outside in ["http:", "https:", "//", "<script", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
