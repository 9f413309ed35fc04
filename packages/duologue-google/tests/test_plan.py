"""Options, models and tools become the setup that the model takes; what it refuses is refused before."""

import dataclasses
import logging
from typing import Any, get_type_hints

import pytest
from duologue import ConfigurationError, Tool, TurnDetection, tool
from duologue_google import DEFAULT_MODEL, MODELS, STABLE_MODEL, LiveOptions, ModelTraits, traits_of
from duologue_google.models import resolve_model
from duologue_google.options import LiveSettings
from duologue_google.plan import SessionPlan, make_plan
from google_kit import MODEL_25, MODEL_31, MODEL_38

EXTENDED = "gemini-3.8-live-extended-thinking"
TRANSLATE = "gemini-3.5-live-translate-preview"


def plan(model=MODEL_38, *, detection=None, tools=(), voice=None, vertex=False, traits=None, system="", **options):
    return make_plan(
        model=model,
        resource=f"models/{model}",
        options=LiveOptions.of(options),
        traits=traits,
        vertex=vertex,
        system=system,
        tools=tools,
        voice=voice,
        detection=detection,
    )


def setup(model=MODEL_38, **more) -> dict[str, Any]:
    return plan(model, **more).setup


class TestModels:
    @pytest.mark.parametrize(
        ("name", "family"),
        [
            ("gemini-3.8-live", "gemini-3.8-live"),
            ("models/gemini-3.8-live-extended-thinking", "gemini-3.8-live-extended-thinking"),
            ("gemini-3.1-flash-live-preview", "gemini-3.1-flash-live"),
            (
                "projects/p/locations/l/publishers/google/models/gemini-live-2.5-flash-native-audio",
                "gemini-live-2.5-flash",
            ),
            ("gemini-2.5-flash-native-audio-preview-12-2025", "gemini-2.5-flash-native-audio"),
            ("gemini-9-live", ""),
        ],
    )
    def test_a_model_has_the_traits_of_its_family(self, name, family):
        assert traits_of(name).family == family

    def test_no_family_hides_another(self):
        for number, traits in enumerate(MODELS):
            assert traits_of(traits.family) is traits, f"family {traits.family!r} is hidden, at {number}"

    def test_the_documented_default_is_resolved_with_a_line_in_the_log(self, caplog):
        caplog.set_level(logging.INFO)
        assert resolve_model(DEFAULT_MODEL) == STABLE_MODEL
        assert STABLE_MODEL in caplog.text

    @pytest.mark.parametrize("name", ["gemini-3.1-flash-live-preview", "my-own/model", STABLE_MODEL])
    def test_any_other_name_goes_through(self, name):
        assert resolve_model(name) == name

    def test_traits_can_be_written_down(self):
        for traits in MODELS:
            assert ModelTraits.from_description(traits.describe()) == traits


class TestSetup:
    def test_the_least_setup(self):
        assert setup() == {
            "model": f"models/{MODEL_38}",
            "generationConfig": {"responseModalities": ["AUDIO"]},
            "sessionResumption": {},
            "contextWindowCompression": {"slidingWindow": {}},
            "inputAudioTranscription": {},
            "outputAudioTranscription": {},
        }

    def test_nothing_is_null_and_no_list_is_empty(self):
        def check(node):
            if isinstance(node, dict):
                for value in node.values():
                    assert value is not None
                    assert value != []
                    check(value)

        for traits in MODELS:
            check(setup(traits.family or "other"))

    def test_every_option_reaches_its_place(self):
        found = setup(
            MODEL_25,
            system="Be brief.",
            voice="kore",
            language_code="de-DE",
            temperature=0.3,
            top_p=0.9,
            top_k=40,
            max_output_tokens=100,
            seed=7,
            media_resolution="low",
            thinking=512,
            include_thoughts=True,
            affective_dialog=True,
            proactive_audio=True,
            turn_coverage="all",
            google_search=True,
            url_context=True,
            safety_settings={"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"},
            input_transcription={"custom_vocabulary": ["Duologue"]},
            output_transcription=False,
            compress_context={"trigger_tokens": 2000, "sliding_window": {"target_tokens": 1000}},
        )
        assert found["generationConfig"] == {
            "responseModalities": ["AUDIO"],
            "temperature": 0.3,
            "topP": 0.9,
            "topK": 40.0,
            "maxOutputTokens": 100,
            "seed": 7,
            "mediaResolution": "MEDIA_RESOLUTION_LOW",
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}, "languageCode": "de-DE"},
            "thinkingConfig": {"thinkingBudget": 512, "includeThoughts": True},
            "enableAffectiveDialog": True,
        }
        assert found["systemInstruction"] == {"role": "user", "parts": [{"text": "Be brief."}]}
        assert found["tools"] == [{"googleSearch": {}}, {"urlContext": {}}]
        assert found["proactivity"] == {"proactiveAudio": True}
        assert found["realtimeInputConfig"] == {"turnCoverage": "TURN_INCLUDES_ALL_INPUT"}
        assert found["safetySettings"] == [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
        assert found["inputAudioTranscription"] == {"customVocabulary": ["Duologue"]}
        assert "outputAudioTranscription" not in found
        assert found["contextWindowCompression"] == {"triggerTokens": 2000, "slidingWindow": {"targetTokens": 1000}}

    def test_vertex_has_options_of_its_own(self):
        found = setup(vertex=True, transparent=True, labels={"team": "x"}, explicit_vad=True)
        assert found["sessionResumption"] == {"transparent": True}
        assert (found["labels"], found["explicitVadSignal"]) == ({"team": "x"}, True)

    @pytest.mark.parametrize("option", [{"transparent": True}, {"labels": {"a": "b"}}, {"explicit_vad": True}])
    def test_which_the_developer_api_refuses(self, option):
        with pytest.raises(ConfigurationError, match="VertexLiveTransport"):
            setup(**option)

    def test_what_is_off_is_not_sent(self):
        found = setup(resumption=False, compress_context=False, input_transcription=False, output_transcription=False)
        assert set(found) == {"model", "generationConfig"}

    @pytest.mark.parametrize(
        ("detection", "config"),
        [
            (TurnDetection(), None),
            (TurnDetection(mode="manual"), {"automaticActivityDetection": {"disabled": True}}),
            (TurnDetection(mode="manual", threshold=0.9), {"automaticActivityDetection": {"disabled": True}}),
            (TurnDetection(interrupt=False), {"activityHandling": "NO_INTERRUPTION"}),
            (
                TurnDetection(mode="semantic", threshold=0.8, prefix_ms=20, silence_ms=300),
                {
                    "automaticActivityDetection": {
                        "startOfSpeechSensitivity": "START_SENSITIVITY_LOW",
                        "prefixPaddingMs": 20,
                        "silenceDurationMs": 300,
                    }
                },
            ),
            (
                TurnDetection(threshold=0.2),
                {"automaticActivityDetection": {"startOfSpeechSensitivity": "START_SENSITIVITY_HIGH"}},
            ),
        ],
    )
    def test_turn_detection_is_activity_detection(self, detection, config):
        assert setup(detection=detection).get("realtimeInputConfig") == config

    def test_sensitivities_come_before_the_threshold(self):
        found = setup(detection=TurnDetection(threshold=0.2), start_sensitivity="low", end_sensitivity="high")
        assert found["realtimeInputConfig"]["automaticActivityDetection"] == {
            "startOfSpeechSensitivity": "START_SENSITIVITY_LOW",
            "endOfSpeechSensitivity": "END_SENSITIVITY_HIGH",
        }

    def test_an_unknown_voice_and_language_go_out_with_a_warning(self, caplog):
        found = setup(voice="Nobody", language_code="tlh-KL")
        speech = found["generationConfig"]["speechConfig"]
        assert speech["languageCode"] == "tlh-KL"
        assert speech["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"] == "Nobody"
        assert "Nobody" in caplog.text
        assert "tlh-KL" in caplog.text


class TestRefusals:
    @pytest.mark.parametrize(
        ("model", "options"),
        [
            (MODEL_38, {"thinking": "low"}),
            (MODEL_38, {"include_thoughts": True}),
            (MODEL_38, {"affective_dialog": True}),
            (MODEL_38, {"proactive_audio": False}),
            (MODEL_31, {"proactive_audio": True}),
            (MODEL_31, {"thinking": 100}),
            (MODEL_25, {"thinking": "low"}),
            (MODEL_25, {"thinking": True}),
            (MODEL_25, {"thinking": [1]}),
            (MODEL_25, {"translate_to": "de"}),
        ],
    )
    def test_what_a_model_refuses_is_refused_at_once(self, model, options):
        with pytest.raises(ConfigurationError, match=r"thinking|refuses option"):
            setup(model, **options)

    def test_unless_the_traits_say_otherwise(self):
        traits = dataclasses.replace(traits_of(MODEL_38), thinking="level")
        assert setup(traits=traits, thinking="high")["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "HIGH"}

    def test_a_model_that_must_be_told_to_think_is_told(self):
        assert setup(EXTENDED)["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "LOW"}
        assert setup(EXTENDED, thinking=64)["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 64}

    def test_translation_is_for_models_that_translate(self):
        found = setup(TRANSLATE, translate_to="de-DE", echo_target_language=True)["generationConfig"]
        assert found["translationConfig"] == {"targetLanguageCode": "de-DE", "echoTargetLanguage": True}

    def test_an_option_that_does_not_exist_is_named_with_those_that_do(self):
        with pytest.raises(ConfigurationError, match=r"'colour'.*temperature"):
            LiveOptions.of({"colour": "red"})

    def test_the_keyword_arguments_are_the_options(self):
        names = {field.name for field in dataclasses.fields(LiveOptions)}
        assert names == set(get_type_hints(LiveSettings)) | {"language_code"}
        hints = get_type_hints(LiveOptions)
        assert all(hint == hints[name] for name, hint in get_type_hints(LiveSettings).items())


class TestTools:
    def test_a_tool_is_declared_in_the_words_of_the_live_api(self):
        @tool
        def book(city: str, nights: int = 1, rooms: list[int] | None = None) -> str:
            """Book a hotel."""
            return ""

        (entry,) = setup(tools=[book])["tools"]
        (declared,) = entry["functionDeclarations"]
        assert (declared["name"], declared["description"]) == ("book", "Book a hotel.")
        properties = declared["parameters"]["properties"]
        assert declared["parameters"]["type"] == "OBJECT"
        assert declared["parameters"]["required"] == ["city"]
        assert properties["city"]["type"] == "STRING"
        assert properties["nights"]["type"] == "INTEGER"
        assert properties["rooms"]["nullable"] is True
        assert properties["rooms"]["items"] == {"type": "INTEGER"}

    def test_a_tool_without_parameters_declares_none(self):
        (entry,) = setup(tools=[Tool("f", lambda: None)])["tools"]
        assert "parameters" not in entry["functionDeclarations"][0]

    @pytest.mark.parametrize("name", ["1st", "a b", "ä", "x" * 129, "a/b"])
    def test_a_name_that_gemini_does_not_take_is_refused(self, name):
        with pytest.raises(ConfigurationError, match="takes no tool called"):
            setup(tools=[Tool(name, None, schema={})])

    def test_what_a_model_cannot_do_is_said(self, caplog):
        found = setup(MODEL_31, tools=[Tool("f", None, schema={}, blocking=False)])
        assert "behavior" not in found["tools"][0]["functionDeclarations"][0]
        assert "waits for every tool" in caplog.text
        found = setup(EXTENDED, tools=[Tool("f", None, schema={}, blocking=True)])
        assert found["tools"][0]["functionDeclarations"][0]["behavior"] == "NON_BLOCKING"
        assert "waits for no tool" in caplog.text

    def test_tools_that_google_runs_stand_before_ours(self):
        found = setup(
            tools=[Tool("f", None, schema={})], code_execution=True, google_maps=True, server_tools=[{"x": {}}]
        )
        assert [next(iter(entry)) for entry in found["tools"]] == [
            "x",
            "googleMaps",
            "codeExecution",
            "functionDeclarations",
        ]


class TestOverlay:
    def test_a_mapping_is_laid_over_in_either_spelling(self):
        found = setup(
            tools=[Tool("f", None, schema={})],
            setup={
                "generation_config": {"temperature": 0.1, "newThing": {"a_b": 1}},
                "tools": [{"newTool": {}}],
                "avatarConfig": {"x": 1},
                "labels": {"my_key": "v"},
                "inputAudioTranscription": None,
            },
        )
        assert found["generationConfig"] == {
            "responseModalities": ["AUDIO"],
            "temperature": 0.1,
            "newThing": {"aB": 1},
        }
        assert [next(iter(entry)) for entry in found["tools"]] == ["functionDeclarations", "newTool"]
        assert found["avatarConfig"] == {"x": 1}
        assert found["labels"] == {"my_key": "v"}
        assert found["inputAudioTranscription"] == {}

    def test_flat_options_of_google_genai_find_their_place(self, caplog):
        given = {"response_modalities": ["TEXT"], "system_instruction": "Hi", "http_options": {"headers": {}}}
        found = setup(setup=given)
        assert found["generationConfig"]["responseModalities"] == ["TEXT"]
        assert found["systemInstruction"] == {"role": "user", "parts": [{"text": "Hi"}]}
        assert "httpOptions" in caplog.text

    def test_manual_detection_in_an_overlay_counts(self):
        from duologue_google import GeminiCodec

        made = plan(setup={"realtime_input_config": {"automatic_activity_detection": {"disabled": True}}})
        assert GeminiCodec(made).capabilities.server_vad is False

    def test_anything_else_is_refused(self):
        with pytest.raises(ConfigurationError, match="LiveConnectConfig"):
            setup(setup=7)

    @pytest.mark.clients
    def test_a_live_connect_config_is_understood(self):
        from google.genai import types

        config = types.LiveConnectConfig(
            response_modalities=["AUDIO"],
            temperature=0.7,
            speech_config=types.SpeechConfig(
                voice_config=types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Kore"))
            ),
            proactivity=types.ProactivityConfig(proactive_audio=True),
            tools=[types.Tool(google_search=types.GoogleSearch())],
            enable_affective_dialog=True,
        )
        found = setup(MODEL_25, setup=config)
        assert found["generationConfig"]["temperature"] == 0.7
        assert found["generationConfig"]["enableAffectiveDialog"] is True
        speech = found["generationConfig"]["speechConfig"]
        assert speech["voiceConfig"]["prebuiltVoiceConfig"]["voiceName"] == "Kore"
        assert found["proactivity"] == {"proactiveAudio": True}
        assert found["tools"] == [{"googleSearch": {}}]


def test_a_plan_read_again_is_the_same():
    made = plan(tools=[Tool("f", None, schema={}, delivery="silent")], media_chunks=True, vertex=True)
    assert SessionPlan.from_description(made.describe()) == made
