//! Access logs.

use nuncio_api::envoy::{
    config::{
        accesslog::v3::{AccessLog, access_log::ConfigType},
        core::v3::{SubstitutionFormatString, data_source::Specifier, substitution_format_string::Format},
    },
    extensions::access_loggers::{
        file::v3::{FileAccessLog, file_access_log},
        stream::v3::{StderrAccessLog, StdoutAccessLog, stderr_access_log, stdout_access_log},
    },
};

use super::{Context, data_source, is};
use crate::{
    model::{self, AccessLogSink},
    path::Path,
};

pub(super) fn all(context: &mut Context<'_>, at: &Path<'_>, logs: Vec<AccessLog>) -> Vec<model::AccessLog> {
    logs.into_iter().enumerate().filter_map(|(index, log)| one(context, &at.index(index), log)).collect()
}

fn one(context: &mut Context<'_>, at: &Path<'_>, log: AccessLog) -> Option<model::AccessLog> {
    let AccessLog { name: _, config_type, filter: _ } = log;
    let at = at.field("typed_config");
    let ConfigType::TypedConfig(any) = config_type?;
    if is::<FileAccessLog>(&any) {
        let FileAccessLog { path, access_log_format } = context.unpack(&any, &at)?;
        let format = match access_log_format {
            Some(file_access_log::AccessLogFormat::Format(text)) => {
                Some(written(context, &at.field("format"), text))
            }
            Some(file_access_log::AccessLogFormat::LogFormat(format)) => {
                text(context, &at.field("log_format"), format)
            }
            // Refused by the check before this.
            Some(
                file_access_log::AccessLogFormat::JsonFormat(_)
                | file_access_log::AccessLogFormat::TypedJsonFormat(_),
            )
            | None => None,
        };
        Some(model::AccessLog {
            sink: AccessLogSink::File(path),
            format: format.filter(|format| !format.text.is_empty()),
        })
    } else if is::<StdoutAccessLog>(&any) {
        let StdoutAccessLog { access_log_format } = context.unpack(&any, &at)?;
        let format = access_log_format.and_then(|stdout_access_log::AccessLogFormat::LogFormat(format)| {
            text(context, &at.field("log_format"), format)
        });
        Some(model::AccessLog { sink: AccessLogSink::Stdout, format })
    } else if is::<StderrAccessLog>(&any) {
        let StderrAccessLog { access_log_format } = context.unpack(&any, &at)?;
        let format = access_log_format.and_then(|stderr_access_log::AccessLogFormat::LogFormat(format)| {
            text(context, &at.field("log_format"), format)
        });
        Some(model::AccessLog { sink: AccessLogSink::Stderr, format })
    } else {
        None
    }
}

fn text(
    context: &mut Context<'_>,
    at: &Path<'_>,
    format: SubstitutionFormatString,
) -> Option<model::LogFormat> {
    let SubstitutionFormatString {
        format,
        omit_empty_values: _,
        content_type: _,
        formatters: _,
        json_format_options: _,
    } = format;
    match format? {
        Format::TextFormat(text) => Some(written(context, &at.field("text_format"), text)),
        Format::TextFormatSource(source) => {
            let at = at.field("text_format_source");
            let inline = matches!(source.specifier, Some(Specifier::InlineString(_)));
            let bytes = data_source::read(context, &at, source)?;
            let text = String::from_utf8(bytes).map_err(|_| context.error(&at, "is not UTF-8")).ok()?;
            let inline_at = at.field("inline_string");
            Some(written(context, if inline { &inline_at } else { &at }, text))
        }
        Format::JsonFormat(_) => None,
    }
}

fn written(context: &Context<'_>, at: &Path<'_>, text: String) -> model::LogFormat {
    model::LogFormat { text, place: context.place(at) }
}
